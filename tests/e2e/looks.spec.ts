/**
 * Review at the keyboard: labels that were flipped on purpose are confirmed and changed,
 * blank pictures leave the tray by every door, second readings are set; why an item is
 * asked is told beside it while labelling goes on, and how items are chosen is set.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import { expect, test, type Page } from '@playwright/test';
import sharp from 'sharp';
import { Project } from '../../main/project.ts';
import { generateSample } from '../../resources/sample-project/generate.ts';
import { runCli, runJson } from '../served-desk.ts';
import { hostDesk, type HostedDesk } from './hosted-desk.ts';
import { acceptName, go, itemOnScreen, tabTo, typeInto } from './keyboard.ts';

const work = mkdtempSync(join(tmpdir(), 'marginalia-looks-'));
const dir = join(work, 'cells');
/** Some of them are drawn for the audit set, and no tray holds these. */
const BLANKS = 12;
const NEEDED = 4;
let desk: HostedDesk | null = null;
/** Names of the items whose given label was flipped. */
const flipped = new Set<string>();

test.afterAll(async () => {
  await desk?.stop();
  rmSync(work, { recursive: true, force: true });
});

/** Cells of two kinds that differ plainly: two thirds with labels, every twelfth of them wrong; the rest without; and blank pictures. */
async function prepare(): Promise<void> {
  const sample = await generateSample(join(work, 'material'), { seed: 6, cells: 240, notes: 0 });
  const classes = ['lymphocyte', 'eosinophil'];
  const [head, ...lines] = readFileSync(sample.cellsTable, 'utf8').trim().split('\n');
  const rows = lines.map((line) => line.split(',')).filter(([, , kind]) => classes.includes(kind));
  const [id, image, label] = head.split(',');
  const [labelled, open] = [join(work, 'material', 'labelled.csv'), join(work, 'material', 'open.csv')];
  const given = rows.slice(0, 80).map(([name, picture, kind, slide], i) => {
    const isWrong = i % 12 === 5;
    if (isWrong) flipped.add(name);
    return [name, picture, isWrong ? classes.find((other) => other !== kind) : kind, slide];
  });
  writeFileSync(labelled, [head, ...given.map((cells) => cells.join(','))].join('\n'));
  writeFileSync(open, [head, ...rows.slice(80).map((cells) => cells.join(','))].join('\n'));
  const blanks = join(work, 'blanks');
  mkdirSync(blanks);
  for (let i = 0; i < BLANKS; i++) {
    const grey = 30 + 18 * i;
    const background = { r: grey, g: grey, b: grey };
    await sharp({ create: { width: 176, height: 176, channels: 3, background } })
      .png()
      .toFile(join(blanks, `blank-${i}.png`));
  }
  // The seed decides which flips are drawn for the audit set, whose labels no model suspects.
  const made = await Project.create(dir, { classes, seed: 1 }, { resume: false });
  await made.close();
  await runCli(['import', dir, labelled, '--id', id, '--image', image, '--label', label, '--labels', 'given']);
  await runCli(['import', dir, open, '--id', id, '--image', image]);
  await runCli(['import', dir, blanks]);
  await runCli(['train', dir]);
}

async function violations(page: Page): Promise<string[]> {
  const found = await new AxeBuilder({ page }).analyze();
  return found.violations.map(({ id, nodes }) => `${id} ${nodes.map((node) => node.target.join(' ')).join(', ')}`);
}

test('Labels are looked at again, the tray is emptied, and why an item is asked is told, all by keyboard', async ({
  page: blank,
  context,
}) => {
  const errors: string[] = [];
  await prepare();
  const { json } = await runJson<{ total: number; looks: { name: string }[] }>('looks', dir);
  const first = json.looks.slice(0, flipped.size).filter(({ name }) => flipped.has(name));
  expect(first.length, 'flips are found first').toBeGreaterThanOrEqual(3);

  desk = await hostDesk(dir);
  const { page, client } = await desk.enter(blank, context, (shown) => {
    shown.on('pageerror', (error) => errors.push(error.message));
  });
  await expect(page.getByTestId('item')).toBeVisible({ timeout: 60_000 });
  const { classes } = await client.status();
  const look = page.getByTestId('look-item');
  const idOf = async () => (await look.getAttribute('data-item')) as never;

  await test.step('a label is confirmed, another is changed, and that is taken back', async () => {
    await go(page, 'a');
    await expect(page.getByTestId('look-reason')).not.toBeEmpty();
    await expect(page.getByTestId('look-panel')).toContainText('in force');
    expect(await violations(page)).toEqual([]);
    const before = (await client.looks.list({})).total;
    const confirmed = await idOf();
    const { classes: kept } = await client.items.get({ item: confirmed });
    await page.keyboard.press('Enter');
    await acceptName(page);
    await expect(look).not.toHaveAttribute('data-item', confirmed);
    await expect.poll(async () => (await client.looks.list({})).total).toBe(before - 1);
    const [act] = await client.annotations.history({ item: confirmed });
    expect(act).toMatchObject({ act: 'label', classes: kept, repeats: null });
    expect(act.durationMs).toBeGreaterThan(0);

    const changed = await idOf();
    const given = (await client.items.get({ item: changed })).classes![0];
    const other = classes.findIndex((name) => name !== given);
    await page.keyboard.press(String(other + 1));
    await expect(look).not.toHaveAttribute('data-item', changed);
    await expect.poll(async () => (await client.items.get({ item: changed })).classes).toEqual([classes[other]]);
    await expect(page.getByRole('tab', { name: /Second looks/ })).toContainText(String(before - 2));
    await page.keyboard.press('u');
    await expect(look).toHaveAttribute('data-item', changed);
    expect((await client.items.get({ item: changed })).classes).toEqual([given]);
    await page.keyboard.press('ArrowDown');
    await expect(look).not.toHaveAttribute('data-item', changed);
    await page.keyboard.press('ArrowUp');
    await expect(look).toHaveAttribute('data-item', changed);
    await page.screenshot({ path: 'test-results/looks.png' });
  });

  await test.step('blank pictures are let back in, excluded, and labelled', async () => {
    await go(page, 'y');
    const tiles = page.getByTestId('tray').getByRole('option');
    const blank = page.locator('[data-testid=tray] [data-reason=blank]');
    await expect.poll(() => blank.count(), { timeout: 60_000 }).toBeGreaterThanOrEqual(NEEDED);
    await expect(page.getByRole('tab', { name: /Tray/ })).toContainText(String(await tiles.count()));
    const all = await tiles.count();
    await expect(page.getByTestId('tray-measure')).toContainText('usually');
    expect(await violations(page)).toEqual([]);
    const ids = (await client.tray.list({})).entries.map(({ view }) => view.id);
    await page.keyboard.press('Space');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    await expect(page.locator('[data-testid=tray] [aria-selected=true]')).toHaveCount(2);
    await page.screenshot({ path: 'test-results/tray.png' });
    await page.keyboard.press('r');
    await expect(tiles).toHaveCount(all - 2);
    expect((await client.tray.list({})).entries.map(({ view }) => view.id)).toEqual(ids.slice(2));
    await page.keyboard.press('x');
    await expect(tiles).toHaveCount(all - 3);
    await expect.poll(async () => (await client.items.get({ item: ids[2] })).state).toBe('excluded');
    await page.keyboard.press('1');
    await expect.poll(async () => (await client.items.get({ item: ids[3] })).classes).toEqual([classes[0]]);
  });

  await test.step('second readings are set, and consistency says what there is not yet', async () => {
    await go(page, 'k');
    const share = page.getByTestId('readings').getByRole('spinbutton').first();
    await expect(share).toHaveValue('2');
    await typeInto(page, share, '5');
    await page.keyboard.press('Enter');
    await expect.poll(async () => (await client.looks.consistency()).readings.share).toBe(0.05);
    await page.keyboard.press('Escape');
    await expect(page.getByTestId('annotator-card').first()).toContainText('Nothing has been read twice yet');
    expect(await violations(page)).toEqual([]);
    await page.screenshot({ path: 'test-results/consistency.png' });
  });

  await test.step('why an item is asked stands beside it while labelling goes on', async () => {
    await go(page, 'l');
    const sheet = page.getByTestId('why-sheet');
    const asked = async () => (await page.getByTestId('why').getAttribute('data-code')) !== 'audit';
    for (let n = 0; n < 30 && !(await asked()); n++) {
      const before = await itemOnScreen(page);
      await page.keyboard.press('Space');
      await expect(page.getByTestId('item')).not.toHaveAttribute('data-item', before);
    }
    await page.keyboard.press('w');
    const item = await itemOnScreen(page);
    await expect(sheet).toHaveAttribute('data-item', item);
    await expect(sheet).toContainText(/More uncertain than|Nothing to compare/);
    for (const name of classes) await expect(sheet).toContainText(name);
    expect(await violations(page)).toEqual([]);
    await page.screenshot({ path: 'test-results/why.png' });
    await page.keyboard.press('2');
    await expect(page.getByTestId('item')).not.toHaveAttribute('data-item', item);
    await expect(sheet).not.toHaveAttribute('data-item', item);
    await page.keyboard.press('ArrowLeft');
    await expect(sheet.getByTestId('why-fused')).toContainText('It replaces nothing');
    await page.keyboard.press('Alt+Shift+L');
    await expect(page.getByTestId('why-sheet')).toContainText('为何选它');
    await page.keyboard.press('Alt+Shift+L');
    await page.keyboard.press('Escape');
    await expect(page.getByTestId('why-sheet')).toHaveCount(0);
  });

  await test.step('how items are chosen is set', async () => {
    await go(page, 'r');
    const strategy = page.getByTestId('choosing-strategy');
    await tabTo(page, strategy);
    await page.keyboard.press('Home');
    await expect.poll(async () => (await client.choosing.settings()).strategy).toBe('random');
    await expect(page.getByTestId('choosing')).toContainText('whatever the model thinks');
    await tabTo(page, page.getByTestId('choosing').getByRole('checkbox').first());
    await page.keyboard.press('Space');
    await expect.poll(async () => (await client.choosing.settings()).perGroup).toBe(2);
    expect(await violations(page)).toEqual([]);
  });
  expect(errors).toEqual([]);
});
