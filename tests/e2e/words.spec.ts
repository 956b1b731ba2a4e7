/**
 * Texts, and items that may have several classes, at the keyboard alone: every act there is,
 * undo and redo, the language switched in the middle, and nothing that moves or loses the
 * focus from item to item.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, type BrowserContext, type Page } from '@playwright/test';
import { runCli } from '../served-desk.ts';
import { hostDesk, type Entered, type HostedDesk } from './hosted-desk.ts';
import { acceptName, go, itemOnScreen } from './keyboard.ts';

const work = mkdtempSync(join(tmpdir(), 'marginalia-words-'));
const desks: HostedDesk[] = [];

test.afterAll(async () => {
  await Promise.all(desks.map((desk) => desk.stop()));
  rmSync(work, { recursive: true, force: true });
});

async function open(dir: string, blank: Page, context: BrowserContext): Promise<Entered> {
  const desk = await hostDesk(dir);
  desks.push(desk);
  const entered = await desk.enter(blank, context);
  await expect(entered.page.getByTestId('item')).toBeVisible();
  return entered;
}

/** Presses a key that decides, and gives the item it decided. */
async function decide(page: Page, key: string): Promise<string> {
  const item = await itemOnScreen(page);
  await page.keyboard.press(key);
  await expect(page.getByTestId('item')).not.toHaveAttribute('data-item', item);
  return item;
}

test('Notes are labelled, skipped, flagged, excluded and commented, and taken back', async ({
  page: blank,
  context,
}) => {
  const dir = join(work, 'notes');
  await runCli(['sample', dir, '--kind', 'notes']);
  const { page, client } = await open(dir, blank, context);
  const stateOf = async (item: string) => (await client.items.get({ item: item as never })).state;

  const first = await itemOnScreen(page);
  await page.keyboard.press('1');
  await acceptName(page);
  await expect.poll(() => stateOf(first)).toBe('labelled');
  const skipped = await decide(page, 'Space');
  const flagged = await decide(page, 'f');
  const excluded = await decide(page, 'x');
  await expect
    .poll(async () => Promise.all([skipped, flagged, excluded].map(stateOf)))
    .toEqual(['skipped', 'flagged', 'excluded']);

  const commented = await itemOnScreen(page);
  await page.keyboard.press('c');
  await expect(page.getByTestId('comment-text')).toBeFocused();
  await page.keyboard.insertText('Ask the night shift. 请复核。');
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('why')).toContainText('Ask the night shift. 请复核。');
  expect(await itemOnScreen(page), 'a comment decides nothing').toBe(commented);

  await test.step('undo and redo walk over all of it', async () => {
    await page.keyboard.press('u');
    await expect(page.getByTestId('why')).not.toContainText('Ask the night shift');
    for (const item of [excluded, flagged, skipped]) {
      await page.keyboard.press('u');
      await expect(page.getByTestId('item')).toHaveAttribute('data-item', item);
      await expect.poll(() => stateOf(item)).toBe('open');
    }
    await page.keyboard.press('Shift+R');
    await expect.poll(() => stateOf(skipped)).toBe('skipped');
    await page.keyboard.press('Shift+R');
    await expect.poll(() => stateOf(flagged)).toBe('flagged');
    await expect(page.getByTestId('item'), 'the third is still taken back').toHaveAttribute('data-item', excluded);
  });

  await test.step('the language changes, the item stays', async () => {
    const item = await itemOnScreen(page);
    await page.keyboard.press('Alt+Shift+L');
    await expect(page.locator('html')).toHaveAttribute('lang', 'zh-CN');
    expect(await itemOnScreen(page)).toBe(item);
    await decide(page, '2');
    await expect.poll(() => stateOf(item)).toBe('labelled');
    await page.keyboard.press('Alt+Shift+L');
    await expect(page.locator('html')).toHaveAttribute('lang', 'en');
  });

  await test.step('nothing moves and the focus stays from item to item', async () => {
    await expect.poll(async () => (await client.status()).jobs.length, { timeout: 60_000 }).toBe(0);
    await page.evaluate(() => {
      const kept = window as typeof window & { moved: string[] };
      kept.moved = [];
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as (PerformanceEntry & { sources: { node: Node | null }[] })[]) {
          kept.moved.push(
            ...entry.sources.map(
              ({ node }) => (node instanceof Element ? node : node?.parentElement)?.outerHTML.slice(0, 120) ?? 'gone',
            ),
          );
        }
      }).observe({ type: 'layout-shift', buffered: false });
    });
    for (let n = 0; n < 12; n++) {
      await decide(page, String(1 + (n % 3)));
      expect(await page.evaluate(() => document.activeElement === document.body)).toBe(true);
    }
    await page.waitForTimeout(500);
    expect(await page.evaluate(() => (window as typeof window & { moved: string[] }).moved)).toEqual([]);
  });

  await test.step('in the list, every press of an arrow is a row, however quickly they follow', async () => {
    await go(page, 'd');
    const rows = page.getByTestId('items');
    await expect(rows.getByRole('button').nth(4)).toBeVisible();
    await rows.focus();
    for (let n = 0; n < 4; n++) await rows.press('ArrowDown', { noWaitAfter: true });
    const fourth = rows.getByRole('button').nth(3);
    await expect(fourth).toHaveAttribute('aria-pressed', 'true');
    const name = (await fourth.locator('.clip').first().textContent()) ?? '';
    await expect(page.locator('[data-testid=items] ~ section h2')).toHaveText(name);
  });
});

test('An item may have several classes, or none', async ({ page: blank, context }) => {
  const table = join(work, 'films.csv');
  const rows = Array.from(
    { length: 40 },
    (_, i) => `r${i},"Film ${i}: ${i % 2 ? 'effusion' : 'clear'} ${i % 3 ? 'and cardiomegaly' : ''}"`,
  );
  writeFileSync(table, `id,report\n${rows.join('\n')}\n`);
  const dir = join(work, 'films');
  await runCli(['new', dir, '--task', 'classify-many', '--classes', 'effusion,cardiomegaly,device']);
  await runCli(['import', dir, table, '--text', 'report', '--id', 'id']);
  const { page, client } = await open(dir, blank, context);
  const answered = async (item: string) => (await client.items.get({ item: item as never })).classes;

  const two = await itemOnScreen(page);
  await page.keyboard.press('2');
  await page.keyboard.press('1');
  await page.keyboard.press('3');
  await page.keyboard.press('3');
  await expect(page.getByTestId('class-1')).toHaveAttribute('aria-pressed', 'true');
  await expect(page.getByTestId('class-3')).toHaveAttribute('aria-pressed', 'false');
  await page.keyboard.press('Enter');
  await acceptName(page);
  await expect.poll(() => answered(two)).toEqual(['effusion', 'cardiomegaly']);

  const none = await decide(page, 'Enter');
  await expect.poll(() => answered(none)).toEqual([]);
  await page.keyboard.press('u');
  await expect(page.getByTestId('item')).toHaveAttribute('data-item', none);
  await expect.poll(() => answered(none)).toBe(null);
  await page.keyboard.press('3');
  await decide(page, 'Enter');
  await expect.poll(() => answered(none)).toEqual(['device']);
});
