/**
 * The desk in the desktop's window, by keyboard: a folder chosen in the system's dialog
 * becomes a project, items are labelled, the engine is killed in the middle of it, and the
 * desk goes on by itself within two seconds with nothing lost. Nothing is asked for but what
 * the page's own origin has, and no socket is opened.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { generateSample } from '../../resources/sample-project/generate.ts';
import { clientOver, openDeskWindow, unavailable, type DeskWindow } from './desk-window.ts';
import { acceptName, itemOnScreen, press, typeInto } from './keyboard.ts';

const BEFORE = 6;
const AFTER = 4;
const BACK_MS = 2000;
const work = mkdtempSync(join(tmpdir(), 'marginalia-desktop-'));
let desk: DeskWindow | undefined;

test.skip(unavailable !== null, unavailable ?? '');
test.afterAll(async () => {
  await desk?.close();
  rmSync(work, { recursive: true, force: true });
});

test('The desktop’s window: a folder becomes labels, and a killed engine costs none', async ({ page: blank }) => {
  const alarms: string[] = [];
  const sample = await generateSample(join(work, 'material'), { seed: 5, cells: 40, notes: 0 });
  blank.on('console', (message) => message.type() === 'error' && alarms.push(message.text()));
  blank.on('pageerror', (error) => alarms.push(error.message));
  blank.on('websocket', (socket) => alarms.push(`websocket ${socket.url()}`));
  const requests: string[] = [];
  blank.on('request', (request) => requests.push(request.url()));
  await blank.addInitScript(() =>
    addEventListener('securitypolicyviolation', (event) => console.error(`CSP ${event.violatedDirective}`)),
  );
  const opened = await openDeskWindow(blank, null, work);
  desk = opened;
  const { page } = opened;

  await test.step('a folder is chosen in the system’s dialog', async () => {
    await expect(page.getByTestId('new-project')).toBeVisible();
    await opened.willChoose([sample.cellsDir]);
    await press(page, page.getByTestId('new-project'));
    await press(page, page.getByTestId('choose-folder'));
    await expect(page.getByTestId('wizard-path')).toHaveValue(sample.cellsDir);
    await press(page, page.locator('[data-testid=wizard-next][data-step=source]'));
    await expect(page.getByRole('table').getByText('simulated-cell-0001')).toBeVisible();
    await press(page, page.locator('[data-testid=wizard-next][data-step=preview]'));
    await typeInto(page, page.getByTestId('wizard-name'), 'In the window');
    await typeInto(page, page.getByTestId('wizard-classes'), sample.cellClasses.join('\n'));
    await typeInto(page, page.getByTestId('wizard-dir'), join(work, 'in-the-window'));
    await press(page, page.locator('[data-testid=wizard-next][data-step=project]'));
    await expect(page.getByTestId('item')).toBeVisible();
  });

  const labelled: string[] = [];
  const label = async () => {
    const item = await itemOnScreen(page);
    await page.keyboard.press(String(1 + (labelled.length % 3)));
    if (labelled.length === 0) await acceptName(page);
    await expect(page.getByTestId('item')).not.toHaveAttribute('data-item', item);
    labelled.push(item);
  };
  for (let n = 0; n < BEFORE; n++) await label();
  await expect(page.locator('[data-saving=true]')).toHaveCount(0);
  const pixels = page.locator('[data-testid=item] canvas, [data-testid=item] img').first();
  await expect(pixels).toBeVisible();

  await test.step('the engine is killed, and the desk goes on', async () => {
    const killed = opened.enginePid();
    expect(killed).not.toBeNull();
    const killedAt = Date.now();
    process.kill(killed!, 'SIGKILL');
    await label();
    await expect(page.locator('[data-saving=true]')).toHaveCount(0);
    const backAfterMs = Date.now() - killedAt;
    console.log(`killed → the next label is saved: ${backAfterMs} ms`);
    expect(opened.enginePid()).not.toBe(killed);
    expect(backAfterMs).toBeLessThan(3 * BACK_MS);
    for (let n = 0; n < AFTER; n++) await label();
    await expect(page.locator('[data-saving=true]')).toHaveCount(0);
    await expect(page.getByTestId('reconnecting')).toBeHidden();
  });

  await test.step('a command comes from a menu', async () => {
    await opened.say({ kind: 'command', id: 'help' });
    await expect(page.getByRole('dialog')).toBeVisible();
    await page.keyboard.press('Escape');
    await opened.say({ kind: 'command', id: 'toString' });
    await opened.say({ kind: 'open', dir: join(work, 'nowhere') });
    await expect(page.getByTestId('trouble')).toHaveAttribute('data-code', 'project-not-found');
  });

  const client = await clientOver(page);
  const acts = await client.annotations.history({ limit: 100 });
  expect(acts.map(({ item }) => item).toReversed(), 'each once, in order').toEqual(labelled);
  expect(requests.filter((url) => !url.startsWith(opened.origin) && !/^(data|blob):/.test(url))).toEqual([]);
  expect(requests.some((url) => url.includes('/pixels/'))).toBe(true);
  expect(alarms).toEqual([]);
  expect(await page.evaluate(() => typeof (globalThis as { require?: unknown }).require)).toBe('undefined');

  // The alarms are real: what is planted in the page itself sets them off, and goes nowhere.
  await page.evaluate(async () => {
    await fetch('http://192.0.2.1/').catch(() => undefined);
    new Image().src = 'http://192.0.2.1/x.png';
    try {
      document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = true' }));
    } catch {
      // Trusted types refuse even to make it.
    }
  });
  expect(await page.evaluate(() => 'ran' in window)).toBe(false);
  await expect.poll(() => alarms).toEqual(expect.arrayContaining(['CSP connect-src', 'CSP img-src']));
});

test('The desktop’s window: a project that cannot be opened is said in the desk’s own words', async ({
  page: blank,
}) => {
  await desk?.close();
  const opened = await openDeskWindow(blank, join(work, 'in-the-window', 'blobs'), work);
  desk = opened;
  // Electron looks before it asks the engine, and shows the start; the engine's own word is the same.
  if (opened.origin.startsWith('http')) {
    await expect(opened.page.getByTestId('trouble')).toHaveAttribute('data-code', 'project-not-found');
  }
  await expect(opened.page.getByTestId('new-project')).toBeVisible();
});
