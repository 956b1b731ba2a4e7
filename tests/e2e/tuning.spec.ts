/**
 * Fine-tuning at the keyboard: a real run on small pictures is begun, paused, let go on
 * while the expert labels, and ends in a version whose numbers are told; another is
 * cancelled after a question; what may begin by itself is chosen.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import { expect, test, type Page } from '@playwright/test';
import sharp from 'sharp';
import { createRng } from '../../main/domain/rng.ts';
import { Project } from '../../main/project.ts';
import { hostDesk, type HostedDesk } from './hosted-desk.ts';
import { stripes } from '../tuning/textures.ts';
import { acceptName, go, itemOnScreen, press, tabTo, typeInto } from './keyboard.ts';

/** By what the pictures’ maker calls them, 0 and 1. */
const CLASSES = ['upright', 'lying'];
const SIDE = 16;
const work = mkdtempSync(join(tmpdir(), 'marginalia-tuning-'));
const dir = join(work, 'project');
let desk: HostedDesk;

/** Pictures of one kind under noise. */
async function draw(folder: string, kind: number, count: number): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const rng = createRng(count).derive(CLASSES[kind]);
  for (let i = 0; i < count; i++) {
    await sharp(Buffer.from(stripes(kind, rng, SIDE)), { raw: { width: SIDE, height: SIDE, channels: 1 } })
      .png()
      .toFile(join(folder, `${CLASSES[kind]}-${i}.png`));
  }
}

test.beforeAll(async () => {
  const [labelled, open] = [join(work, 'labelled'), join(work, 'open')];
  for (const kind of [0, 1]) {
    await draw(join(labelled, CLASSES[kind]), kind, 36);
    await draw(join(open, String(kind)), kind, 6);
  }
  const project = await Project.create(dir, { classes: CLASSES, seed: 1, auditShare: 0.1 }, { resume: false });
  const options = { mapping: {}, labelsFromFolders: true };
  await project.startImport({ ...options, sources: [labelled], labels: 'given' }).finished;
  await project.startImport({ ...options, sources: [open], labels: 'none' }).finished;
  await project.close();
  desk = await hostDesk(dir);
});
test.afterAll(async () => {
  await desk.stop();
  rmSync(work, { recursive: true, force: true });
});

async function expectAccessible(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: `test-results/tuning-${name}.png` });
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id} ${nodes.map((node) => node.target.join(' ')).join(', ')}`)).toEqual(
    [],
  );
}

// The run takes about half a minute of one core, at low priority: minutes where others work beside it.
test.describe.configure({ mode: 'serial', timeout: 420_000 });

test('A run is begun, paused, goes on beside the labelling, and tells what it gave', async ({
  page: blank,
  context,
}) => {
  const { page, client, close } = await desk.enter(blank, context);
  await expect(page.getByTestId('item')).toBeVisible({ timeout: 60_000 });
  const run = async () => (await client.status()).jobs.find((job) => job.kind === 'tune');
  await expect.poll(async () => (await client.status()).modelVersion, { timeout: 60_000 }).not.toBeNull();
  await expect.poll(async () => (await client.status()).jobs.length, { timeout: 60_000 }).toBe(0);

  await go(page, 'r');
  const card = page.getByTestId('tuning');
  // Fewer than it takes to begin by itself; by hand it may.
  await expect(page.getByTestId('tuning-worth')).toContainText('more labels until');
  await expect(page.getByTestId('tune')).toBeEnabled();
  await expectAccessible(page, 'ready');

  await press(page, page.getByTestId('tune'));
  await expect(card).toHaveAttribute('data-state', 'running');
  await expect.poll(async () => (await run())?.stage, { timeout: 60_000 }).toBe('tuning');
  await expectAccessible(page, 'running');

  await go(page, 'p');
  await expect(card).toHaveAttribute('data-state', 'paused');
  await expect(card).toContainText('It goes on from here');
  await expect(page.getByTestId('tuning-left')).toBeHidden();
  // A step may still have been on its way.
  await expect.poll(async () => (await run())?.stage).toBe('paused');
  const stood = await run();
  await page.waitForTimeout(1000);
  expect(await run(), 'it stands still').toEqual(stood);
  await expectAccessible(page, 'paused');
  await press(page, page.getByTestId('tune-pause'));
  await expect(card).toHaveAttribute('data-state', 'running');

  await test.step('labelling works meanwhile', async () => {
    await go(page, 'l');
    for (let n = 0; n < 3; n++) {
      const id = await itemOnScreen(page);
      const { name } = await client.items.get({ item: id as never });
      await page.keyboard.press(String(1 + CLASSES.findIndex((kind) => name.includes(kind))));
      if (n === 0) await acceptName(page);
      await expect(page.getByTestId('item')).not.toHaveAttribute('data-item', id);
    }
    await expect.poll(async () => (await client.annotations.history({ limit: 3 })).length).toBe(3);
    expect(await run()).toBeDefined();
    await go(page, 'r');
    await expect(card, 'begun by hand, it does not make room').toHaveAttribute('data-state', 'running');
  });

  const last = page.getByTestId('tuning-last');
  await expect(last).toHaveAttribute('data-state', 'done', { timeout: 300_000 });
  const result = (await client.status()).tuning.last?.result as { version: number; decision: { n: number } };
  expect(result.version).toBeGreaterThan(1);
  await expect(last).toContainText(`ersion ${result.version} `);
  await expect(last).toContainText(`n = ${result.decision.n}`);
  await expectAccessible(page, 'done');
  await press(page, page.getByTestId('tuning-look'));
  const row = page.locator(`[data-testid=version-row][data-version="${result.version}"]`);
  await expect(row.getByTestId('tuned')).toBeVisible();
  await expect(row.getByRole('button')).toHaveAttribute('aria-pressed', 'true');
  await expectAccessible(page, 'version');
  close();
});

test('Cancelling asks once, and what begins by itself is chosen', async ({ page: blank, context }) => {
  await desk.stop();
  desk = await hostDesk(dir);
  const { page, client, close } = await desk.enter(blank, context);
  await expect(page.getByTestId('item')).toBeVisible();
  await go(page, 'r');
  await expect(page.getByTestId('tuning-last'), 'it is on record').toHaveAttribute('data-state', 'done');
  await expect(page.getByTestId('tuning-worth')).toContainText('more labels until');

  const settings = page.getByTestId('tuning-settings');
  const minutes = settings.getByRole('spinbutton');
  await typeInto(page, minutes, '25');
  await tabTo(page, page.getByTestId('tuning-flip'));
  await page.keyboard.press('Space');
  await expect(page.getByTestId('tuning-flip')).toBeChecked();
  await expect.poll(async () => (await client.status()).tuning).toMatchObject({ idleMinutes: 25, flip: true });
  await typeInto(page, minutes, '0');
  await page.keyboard.press('Tab');
  await expect(minutes, 'a time that cannot be').toHaveValue('25');

  await go(page, 'f');
  await expect(page.getByTestId('tuning')).toHaveAttribute('data-state', 'running');
  await go(page, 's');
  const dialog = page.getByRole('dialog');
  await expect(page.getByTestId('confirm-cancel-tuning')).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(dialog).toBeHidden();
  expect((await client.status()).jobs.some((job) => job.kind === 'tune')).toBe(true);
  await go(page, 's');
  await expect(page.getByTestId('confirm-cancel-tuning')).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('tuning-last')).toHaveAttribute('data-state', 'cancelled');
  await page.keyboard.press('Alt+Shift+L');
  await expect(page.getByTestId('tuning-last')).toContainText('已取消');
  await expectAccessible(page, 'cancelled-zh');
  close();
});
