/**
 * The whole loop in a real Chromium, with the keyboard only: a folder is imported, thirty
 * items are labelled, the model trains and the queue changes, an act is undone, a version
 * is rolled back.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { generateSample } from '../../resources/sample-project/generate.ts';
import { ROOT, type DeskClient } from '../served-desk.ts';
import { hostDesk, type HostedDesk } from './hosted-desk.ts';
import { acceptName, go, itemOnScreen, openTab, press, tabTo, typeInto } from './keyboard.ts';

const LABELS = 30;
const work = mkdtempSync(join(tmpdir(), 'marginalia-loop-'));
let desk: HostedDesk;

test.beforeAll(async () => {
  desk = await hostDesk(null, { HOME: work, USERPROFILE: work });
});
test.afterAll(async () => {
  await desk.stop();
  rmSync(work, { recursive: true, force: true });
});

/** True classes by file name, as the generator had them in mind. */
function oracle(table: string): Map<string, string> {
  const [, ...rows] = readFileSync(table, 'utf8').trim().split('\n');
  return new Map(rows.map((row) => [row.split(',')[1].split('/')[1], row.split(',')[2]] as const));
}

async function versionsOf(client: DeskClient) {
  return client.versions.list();
}

test('A folder becomes a model by keyboard alone', async ({ page: blank, context }) => {
  const requests: string[] = [];
  const errors: string[] = [];
  const sample = await generateSample(join(work, 'material'), { seed: 5, cells: 160, notes: 0 });
  const truth = oracle(sample.cellsTable);

  const { page, origin, client, close } = await desk.enter(blank, context, (shown) => {
    shown.on('request', (request) => requests.push(request.url()));
    shown.on('pageerror', (error) => errors.push(error.message));
    shown.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  });
  await expect(page.getByTestId('new-project')).toBeVisible();
  expect(page.url(), 'the token leaves the address bar').not.toContain('token');

  await press(page, page.getByTestId('new-project'));
  await typeInto(page, page.getByTestId('wizard-path'), sample.cellsDir);
  await page.keyboard.press('Enter');
  await press(page, page.locator('[data-testid=wizard-next][data-step=source]'));
  await expect(page.getByRole('table').getByText('simulated-cell-0001')).toBeVisible();
  await page.screenshot({ path: 'test-results/wizard.png' });
  await press(page, page.locator('[data-testid=wizard-next][data-step=preview]'));
  await typeInto(page, page.getByTestId('wizard-name'), 'Cells by hand');
  await typeInto(page, page.getByTestId('wizard-classes'), sample.cellClasses.join('\n'));
  await typeInto(page, page.getByTestId('wizard-dir'), join(work, 'cells-by-hand'));
  await press(page, page.locator('[data-testid=wizard-next][data-step=project]'));

  await expect(page.getByTestId('item')).toBeVisible();
  await expect.poll(async () => (await client.status()).items).toBe(160);
  await expect.poll(async () => (await client.status()).jobs.length, { timeout: 120_000 }).toBe(0);
  const before = await client.queue.next({ count: 40 });
  expect(before.every((entry) => entry.modelVersion === null)).toBe(true);

  await test.step(`${LABELS} labels`, async () => {
    for (let n = 1; n <= LABELS; n++) {
      const id = await itemOnScreen(page);
      const { name } = await client.items.get({ item: id as never });
      const chosen = sample.cellClasses.indexOf(truth.get(name.split('/').pop() ?? '') ?? '');
      expect(chosen, `a class for ${name}`).toBeGreaterThanOrEqual(0);
      await page.keyboard.press(String(chosen + 1));
      if (n === 1) await acceptName(page);
      await expect(page.getByTestId('item')).not.toHaveAttribute('data-item', id);
    }
    await expect.poll(async () => (await client.status()).labelled).toBe(LABELS);
    await expect(page.getByTestId('saved-count')).toContainText(String(LABELS));
  });
  const acts = await client.annotations.history({ limit: 100 });
  expect(acts).toHaveLength(LABELS);
  expect(acts.every((act) => act.act === 'label' && act.durationMs > 0 && act.annotator !== '')).toBe(true);

  await test.step('the model has trained and the queue has changed', async () => {
    await expect.poll(async () => (await versionsOf(client)).length, { timeout: 60_000 }).toBeGreaterThan(1);
    await expect.poll(async () => (await client.status()).jobs.length, { timeout: 60_000 }).toBe(0);
    const after = await client.queue.next({ count: 40 });
    expect(after.some((entry) => entry.modelVersion !== null)).toBe(true);
    expect(after.map((entry) => entry.item)).not.toEqual(
      before.filter((entry) => after.some((a) => a.item === entry.item)).map((entry) => entry.item),
    );
    await expect(page.getByTestId('why')).toBeVisible();
    await page.screenshot({ path: 'test-results/label.png' });
  });

  await test.step('undo takes the last label back and shows the item again', async () => {
    const last = acts[0].item;
    await page.keyboard.press('u');
    await expect(page.getByTestId('item')).toHaveAttribute('data-item', last);
    await expect.poll(async () => (await client.status()).labelled).toBe(LABELS - 1);
    expect((await client.annotations.history({ limit: 1 }))[0]).toMatchObject({ act: 'retract', item: last });
  });

  await test.step('a version is rolled back', async () => {
    await go(page, 'v');
    await expect(page.getByTestId('version-row').first()).toBeVisible();
    // A training that is due would put another version in its place meanwhile.
    const isAtRest = async () => {
      const { jobs, labelsSinceTraining, trainAfter } = await client.status();
      return jobs.length === 0 && labelsSinceTraining < trainAfter;
    };
    await expect.poll(isAtRest, { timeout: 60_000 }).toBe(true);
    const live = (await client.status()).modelVersion;
    await page.screenshot({ path: 'test-results/versions.png' });
    await page.keyboard.press('Shift+B');
    await tabTo(page, page.getByTestId('confirm-rollback'));
    await page.keyboard.press('Enter');
    await expect.poll(async () => (await client.status()).modelVersion).toBeLessThan(live ?? 0);
  });

  await test.step('what was done is in the record, which can be checked elsewhere', async () => {
    await go(page, 'd');
    await openTab(page, 'record');
    const { annotator } = acts[0];
    const rows = page.getByTestId('record').locator('tr[data-call]');
    await expect(rows.first()).toHaveAttribute('data-call', 'versions.rollback');
    await expect(rows.first()).toContainText(annotator);
    await expect(page.locator('tr[data-call="annotations.add"]')).toHaveCount(LABELS);
    const file = join(work, 'trail.jsonl');
    await typeInto(page, page.getByTestId('record-file'), file);
    await page.keyboard.press('Enter');
    await expect(page.getByTestId('record-saved')).toBeVisible();
    await page.screenshot({ path: 'test-results/record.png' });
    const checked = spawnSync(process.execPath, [join(ROOT, 'resources/verify-audit.mjs'), file], { encoding: 'utf8' });
    expect(checked.stdout).toContain('in order and unchanged');
    await page.keyboard.press('Tab'); // out of the field, where letters are letters
  });

  await test.step('nothing left this machine', async () => {
    await go(page, 'e');
    await expect(page.getByTestId('curve')).toBeVisible();
    await page.screenshot({ path: 'test-results/evidence.png' });
    expect(requests.filter((url) => !url.startsWith(origin) && !/^(data|blob):/.test(url))).toEqual([]);
    expect(errors).toEqual([]);
  });
  close();
});
