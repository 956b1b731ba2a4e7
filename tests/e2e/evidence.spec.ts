/**
 * Evidence at the keyboard, on a real project: notes of two complaints from two sites, one of
 * which never says which complaint it is, and a later import of something else.
 * Every tab is walked, read as a table, measured by axe, and there again after a restart.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import { expect, test, type BrowserContext, type Page } from '@playwright/test';
import { createRng, type Rng } from '../../main/domain/rng.ts';
import { Project } from '../../main/project.ts';
import type { DeskClient } from '../served-desk.ts';
import { hostDesk, type Entered, type HostedDesk } from './hosted-desk.ts';
import { go, press, tabTo, typeInto } from './keyboard.ts';

const CLASSES = ['fever', 'fracture'] as const;
const WORDS = {
  fever: ['fever', 'chills', 'cough', 'sweating', 'infection', 'temperature'],
  fracture: ['fall', 'swelling', 'wrist', 'ankle', 'deformity', 'plaster'],
  anything: ['patient', 'seen', 'today', 'since', 'days', 'reports', 'better', 'worse', 'clinic', 'history', 'stable'],
  imaging: ['contrast', 'sequence', 'axial', 'sagittal', 'lesion', 'signal', 'knee', 'spine', 'disc', 'meniscus'],
};
const NOTES = { labelled: 900, open: 400, later: 120 };
const work = mkdtempSync(join(tmpdir(), 'marginalia-evidence-'));
const dir = join(work, 'project');
let desk: HostedDesk;
let recorded: Awaited<ReturnType<typeof onRecord>> | undefined;

function words(rng: Rng, count: number, from: () => readonly string[]): string {
  return Array.from({ length: count }, () => {
    const list = from();
    return list[rng.int(list.length)];
  }).join(' ');
}

/** A note of a complaint; the harbour’s do not say which, so that no model can be sure of them. */
function note(rng: Rng, id: string) {
  const label = CLASSES[rng.int(2)];
  const isHarbour = rng.next() < 0.16;
  const text = words(rng, 16, () => (isHarbour || rng.next() < 0.4 ? WORDS.anything : WORDS[label]));
  return { id, text, site: isHarbour ? 'Harbour' : 'North', age: 20 + rng.int(60), label };
}

function write(name: string, rows: readonly object[]): string {
  const file = join(work, name);
  writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'));
  return file;
}

test.beforeAll(async () => {
  const rng = createRng(12);
  const notes = Array.from({ length: NOTES.labelled + NOTES.open }, (_, i) => note(rng, `note-${i}`));
  const labelled = write('labelled.jsonl', notes.slice(0, NOTES.labelled));
  const open = write('open.jsonl', notes.slice(NOTES.labelled));
  const later = write(
    'imaging.jsonl',
    Array.from({ length: NOTES.later }, (_, i) => ({ id: `later-${i}`, text: words(rng, 16, () => WORDS.imaging) })),
  );
  const columns = { text: 'text', id: 'id', attributes: ['site', 'age'] };
  const options = { labelsFromFolders: false, labels: 'none' } as const;
  // Nothing is learned before all of it is there, so that the first look finds the same every time.
  const made = await Project.create(dir, { classes: [...CLASSES], seed: 1, auditShare: 0.3 }, { resume: false });
  await made.startImport({
    ...options,
    sources: [labelled],
    mapping: { ...columns, label: 'label' },
    labels: 'given',
  }).finished;
  await made.startImport({ ...options, sources: [open], mapping: columns }).finished;
  made.evidence.claims.setLevels({ alpha: 0.2, delta: 0.1 });
  await made.close();
  const project = await Project.open(dir, { resume: true });
  const settledDown = async () => {
    await expect
      .poll(() => [project.status().modelVersion !== null, project.status().jobs.length], { timeout: 120_000 })
      .toEqual([true, 0]);
  };
  await settledDown();
  await project.startImport({ ...options, sources: [later], mapping: { text: 'text', id: 'id' } }).finished;
  await settledDown();
  await project.evidence.reportNow();
  await project.close();
  desk = await hostDesk(dir);
});
test.afterAll(async () => {
  await desk.stop();
  rmSync(work, { recursive: true, force: true });
});

async function arrive(blank: Page, context: BrowserContext): Promise<Entered> {
  const entered = await desk.enter(blank, context);
  await expect(entered.page.getByTestId('item')).toBeVisible({ timeout: 60_000 });
  return entered;
}

/** What is to outlast a restart. */
async function onRecord({ evidence }: DeskClient) {
  return {
    report: await evidence.report(),
    claim: await evidence.claim(),
    levels: await evidence.levels(),
    subgroups: await evidence.subgroups(),
    drift: await evidence.drift(),
  };
}

/** Nothing for axe to find, nothing that scrolls sideways, and nothing that is not a number. */
async function expectSound(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: `test-results/evidence-${name}.png` });
  const panel = page.locator('#panel');
  expect(await panel.evaluate((element) => element.scrollWidth <= element.clientWidth), 'fits in width').toBe(true);
  expect(await panel.innerText()).not.toMatch(/NaN|undefined|null|Infinity|∞/);
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id} ${nodes.map((node) => node.target.join(' ')).join(', ')}`)).toEqual(
    [],
  );
}

test.describe.configure({ mode: 'serial', timeout: 240_000 });

test('Progress, guarantee, subgroups and drift are read and used with the keyboard alone', async ({
  page: blank,
  context,
}) => {
  const { page, client, close } = await arrive(blank, context);
  await go(page, 'e');

  await test.step('progress: a curve whose points are walked, and a target that is set', async () => {
    await expect(page.getByTestId('labels-left')).toBeVisible();
    await expectSound(page, 'progress');
    const points = page.getByTestId('curve').locator('circle[role=img]');
    const tabbed = page.getByTestId('curve').locator('circle[role=img][tabindex="0"]');
    await expect(tabbed).toHaveCount(1);
    await tabTo(page, tabbed);
    await page.keyboard.press('Home');
    await expect(points.first()).toBeFocused();
    await expect(page.getByTestId('curve')).toContainText(/v1, \d+ labels: \d/);

    await page.keyboard.press('t');
    await expect(page.getByTestId('curve').getByRole('table')).toContainText('v1');
    await expectSound(page, 'progress-table');
    await page.keyboard.press('t');

    const before = await client.evidence.report();
    await typeInto(page, page.getByTestId('target'), '99.5');
    await page.keyboard.press('Tab');
    await expect.poll(async () => (await client.evidence.report())?.forecast.target, { timeout: 60_000 }).toBe(0.995);
    await expect(page.getByTestId('labels-left')).toContainText('99.5%', { timeout: 30_000 });
    expect((await client.evidence.report())?.metrics, 'nothing is measured anew for it').toEqual(before?.metrics);
    for (const rule of before?.stopping ?? [])
      expect(['stable', 'gain', 'guarantee', 'confident']).toContain(rule.rule);
    await expect(page.getByTestId('stopping').getByRole('listitem')).toHaveCount(4);
  });

  await test.step('guarantee: the slider previews at once, and the levels are made those of claims', async () => {
    await page.keyboard.press('Escape');
    await page.keyboard.press('2');
    await expect(page.getByTestId('claim')).not.toHaveAttribute('data-state', 'none');
    const levels = await client.evidence.settledAt({ delta: 0.1 });
    const claimed = await client.evidence.levels();
    const slider = page.getByTestId('alpha');
    await tabTo(page, slider);
    await expect(slider).toHaveValue(String(levels.findIndex(({ alpha }) => alpha === claimed.alpha)));
    await expect(page.getByTestId('adopt')).toBeDisabled();
    await page.keyboard.press('End');
    await expect(page.getByTestId('would-settle')).toHaveText(String(levels.at(-1)?.settled));
    await page.keyboard.press('Home');
    await expect(page.getByTestId('would-settle')).toHaveText('0');
    await expect(page.getByTestId('levels')).toContainText(
      /Label \d+ more audit items to be able to say anything at 0.5%/,
    );
    const ten = levels.findIndex(({ alpha }) => alpha === 0.1);
    for (let i = 0; i < ten; i++) await page.keyboard.press('ArrowRight');
    await expect(page.getByTestId('class-guarantees')).toContainText('at 10% wrong');
    await expectSound(page, 'guarantee');
    await press(page, page.getByTestId('adopt'));
    await expect.poll(() => client.evidence.levels()).toMatchObject({ alpha: 0.1, delta: 0.1 });
    await expect(page.getByTestId('adopt')).toBeDisabled();
    await page.keyboard.press('t');
    await expect(page.getByTestId('levels').getByRole('row')).toHaveCount(levels.length + 1);
    await page.keyboard.press('t');
  });

  await test.step('subgroups: the gap between the sites is named, and the queue is asked to close it', async () => {
    await page.keyboard.press('3');
    const site = page.locator('[data-testid=subgroup][data-name=site]');
    await expect(site).toHaveAttribute('data-gap', 'true', { timeout: 30_000 });
    await expect(site).toContainText(/Harbour: \d+\.\d points less accurate than North/);
    await expect(page.locator('[data-testid=subgroup][data-name=age]')).toHaveAttribute('data-gap', 'false');
    await expectSound(page, 'subgroups');
    await tabTo(page, site.getByTestId('balance'));
    await page.keyboard.press('Space');
    await expect
      .poll(async () => (await client.choosing.settings()).balance)
      .toEqual({ by: 'attribute', name: 'site' });
    await expect(site.getByTestId('balance')).toBeChecked();
  });

  await test.step('drift: the later import differs, with examples', async () => {
    await page.keyboard.press('4');
    const card = page.getByTestId('drift').first();
    await expect(card).toContainText('imaging.jsonl');
    await expect(card).toHaveAttribute('data-alert', 'true');
    await expectSound(page, 'drift');
    const [found] = await client.evidence.drift();
    expect(found.examples.length).toBeGreaterThan(0);
    await press(page, card.getByRole('button').first());
    await expect(page.getByTestId('item')).toHaveAttribute('data-item', found.examples[0].id);
  });
  recorded = await onRecord(client);
  close();
});

test('Everything is there again after a restart, in Chinese, and settled items are looked at', async ({
  page: blank,
  context,
}) => {
  await desk.stop();
  desk = await hostDesk(dir);
  const { page, client, close } = await arrive(blank, context);
  expect(await onRecord(client)).toEqual(recorded);

  await page.keyboard.press('Alt+Shift+L');
  await go(page, 'e');
  for (const [key, tab] of ['progress', 'guarantee', 'subgroups', 'drift'].entries()) {
    await page.keyboard.press(String(key + 1));
    await expect(page.getByTestId(`panel-${tab}`)).toBeVisible();
    await expect(page.locator('#panel .card').first()).toBeVisible();
    await expectSound(page, `${tab}-zh`);
  }
  await page.keyboard.press('Alt+Shift+L');
  await page.keyboard.press('2');
  expect(recorded?.claim?.open, 'the first look settled something').toBeGreaterThan(0);
  await expect(page.getByTestId('claim')).toHaveAttribute('data-state', 'in-force');
  await press(page, page.getByTestId('spot-check'));
  await expect(page.getByTestId('item')).toBeVisible();
  await expect.poll(async () => (await client.evidence.spotChecks()).waiting).toBe(20);
  expect((await client.queue.next({ count: 1 }))[0].blind).toBe(true);
  await go(page, 'e');
  await expect(page.getByTestId('spot-checks')).toContainText('20 wait at the head of the queue');
  close();
});
