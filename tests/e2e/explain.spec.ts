/**
 * What speaks for a class, at the keyboard: over a picture and in a text, stronger and
 * fainter, for one class and the next; and not at all for an item that measures the model,
 * before it has its label.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import { expect, test, type BrowserContext, type Page } from '@playwright/test';
import { createRng } from '../../main/domain/rng.ts';
import { generateSample } from '../../resources/sample-project/generate.ts';
import { runCli } from '../served-desk.ts';
import { hostDesk, type Entered, type HostedDesk } from './hosted-desk.ts';
import { acceptName, itemOnScreen } from './keyboard.ts';

const work = mkdtempSync(join(tmpdir(), 'marginalia-explain-'));
let desk: HostedDesk | null = null;

test.afterEach(async () => {
  await desk?.stop();
});
test.afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Opens a project of which the given half has its labels and a model, and the other half waits. */
async function open(dir: string, blank: Page, context: BrowserContext, watch?: (page: Page) => void): Promise<Entered> {
  await runCli(['train', dir]);
  desk = await hostDesk(dir);
  const entered = await desk.enter(blank, context, watch);
  await expect(entered.page.getByTestId('item')).toBeVisible({ timeout: 60_000 });
  return entered;
}

const bar = (page: Page) => page.getByTestId('heat-bar');
const boxOf = async (page: Page, selector: string) => {
  const box = await page.locator(selector).first().boundingBox();
  return [box?.x, box?.y, box?.width, box?.height].map((n) => Math.round(n ?? -1));
};

test('Over a picture lies what speaks for the class', async ({ page: blank, context }) => {
  const errors: string[] = [];
  const sample = await generateSample(join(work, 'material'), { seed: 6, cells: 90, notes: 0 });
  const [head, ...rows] = readFileSync(sample.cellsTable, 'utf8').trim().split('\n');
  const half = join(work, 'material', 'labelled.csv');
  writeFileSync(half, [head, ...rows.slice(0, 50)].join('\n'));
  const dir = join(work, 'cells');
  const [, image, label] = head.split(',');
  await runCli(['new', dir, '--classes', sample.cellClasses.join(',')]);
  await runCli(['import', dir, half, '--image', image, '--label', label, '--labels', 'given']);
  await runCli(['import', dir, sample.cellsDir]);
  const { page, client } = await open(dir, blank, context, (shown) =>
    shown.on('pageerror', (error) => errors.push(error.message)),
  );
  const entries = await client.queue.next({ count: 40 });
  const isBlind = new Map(entries.map((entry) => [entry.item as string, entry.blind]));

  await test.step('nothing is fetched before it is asked for', async () => {
    await expect(bar(page)).toHaveCount(0);
    await expect(page.getByTestId('heat')).toHaveCount(0);
  });
  await page.keyboard.press('h');
  await expect(page.getByTestId('explain')).toHaveAttribute('aria-pressed', 'true');
  // to an item that is asked for its own sake
  for (let n = 0; isBlind.get(await itemOnScreen(page)) !== false; n++) {
    const before = await itemOnScreen(page);
    await page.keyboard.press('Space');
    if (n === 0) await acceptName(page);
    await expect(page.getByTestId('item')).not.toHaveAttribute('data-item', before);
  }
  const item = await itemOnScreen(page);
  const suggested = entries.find((entry) => entry.item === item)?.suggestion?.classes[0] ?? '';
  await expect(bar(page)).toHaveAttribute('data-class', suggested);
  await expect(bar(page)).toContainText(suggested);

  await test.step('the map is drawn, exactly over the picture, also when zoomed', async () => {
    const drawn = () =>
      page.locator('[data-testid=heat] canvas').evaluate((canvas: HTMLCanvasElement) => {
        const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
        return data.filter((value, i) => i % 4 === 3 && value > 40).length;
      });
    await expect.poll(drawn).toBeGreaterThan(20);
    const over = '[data-testid=heat]';
    const under = '[data-testid=item] img';
    expect(await boxOf(page, over)).toEqual(await boxOf(page, under));
    await page.keyboard.press('=');
    await page.keyboard.press('=');
    await expect.poll(() => boxOf(page, over)).toEqual(await boxOf(page, under));
    await page.keyboard.press('Home');
    await page.screenshot({ path: 'test-results/explain-picture.png' });
  });

  await test.step('it gets stronger and fainter, and speaks of the next class', async () => {
    const strength = page.getByTestId('heat-strength');
    await expect(strength).toHaveValue('0.6');
    await page.keyboard.press('.');
    await expect(strength).toHaveValue('0.7');
    for (let n = 0; n < 8; n++) await page.keyboard.press(',');
    await expect(strength).toHaveValue('0');
    for (let n = 0; n < 6; n++) await page.keyboard.press('.');
    const { classes } = await client.status();
    await page.keyboard.press('Shift+H');
    await expect(bar(page)).toHaveAttribute('data-class', classes[(classes.indexOf(suggested) + 1) % classes.length]);
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => `${id} ${nodes.map((node) => node.target.join(' ')).join(', ')}`)).toEqual(
      [],
    );
    await page.keyboard.press('Alt+Shift+L');
    await expect(bar(page)).toContainText('支持');
    await page.keyboard.press('Alt+Shift+L');
  });

  await test.step('the next item has its own', async () => {
    await page.keyboard.press('1');
    await page
      .getByTestId('annotator')
      .waitFor({ timeout: 500 })
      .then(
        () => acceptName(page),
        () => undefined,
      );
    await expect(page.getByTestId('item')).not.toHaveAttribute('data-item', item);
  });

  await test.step('an item that measures the model is not explained before its label', async () => {
    for (let n = 0; n < 40; n++) {
      const now = await itemOnScreen(page);
      const [entry] = await client.queue.next({ count: 1 });
      if (entry.item === now && entry.blind) break;
      await page.keyboard.press('Space');
      await expect(page.getByTestId('item')).not.toHaveAttribute('data-item', now);
    }
    const blind = await itemOnScreen(page);
    await expect(bar(page)).toContainText('measures the model');
    await expect(page.getByTestId('heat')).toHaveCount(0);
    await page.keyboard.press('p');
    await expect(page.getByTestId('heat'), 'not even beside the suggestion').toHaveCount(0);
    const refused = await client.items.explain({ item: blind as never }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ data: { code: 'item-blind' } });
    await page.keyboard.press('1');
    await expect(page.getByTestId('item')).not.toHaveAttribute('data-item', blind);
    await expect.poll(async () => (await client.items.get({ item: blind as never })).state).toBe('labelled');
    await page.keyboard.press('ArrowLeft');
    await expect(page.getByTestId('item')).toHaveAttribute('data-item', blind);
    await expect(page.getByTestId('heat')).toBeVisible();
  });
  await page.keyboard.press('h');
  await expect(page.getByTestId('heat')).toHaveCount(0);
  expect(errors).toEqual([]);
});

test('In a text the words are marked that speak for the class', async ({ page: blank, context }) => {
  const rng = createRng(4);
  const said = {
    fracture: ['displaced', 'fracture line', 'cortical step'],
    clear: ['intact', 'no fracture seen', 'smooth cortex'],
  };
  const classes = Object.keys(said) as (keyof typeof said)[];
  const row = (i: number, labelled: boolean) => {
    const own = classes[i % 2];
    const words = rng.shuffle([...said[own], 'left wrist', `film ${i}`, 'two views', 'compared with the film before']);
    return JSON.stringify({ id: `r${i}`, text: `${words.join(', ')}.`, ...(labelled && { label: own }) });
  };
  const [given, open_] = [join(work, 'given.jsonl'), join(work, 'open.jsonl')];
  writeFileSync(given, Array.from({ length: 50 }, (_, i) => row(i, true)).join('\n'));
  writeFileSync(open_, Array.from({ length: 30 }, (_, i) => row(50 + i, false)).join('\n'));
  const dir = join(work, 'films');
  await runCli(['new', dir, '--classes', classes.join(',')]);
  await runCli(['import', dir, given, '--text', 'text', '--id', 'id', '--label', 'label', '--labels', 'given']);
  await runCli(['import', dir, open_, '--text', 'text', '--id', 'id']);
  const { page } = await open(dir, blank, context);
  await page.keyboard.press('h');
  for (let n = 0; (await page.getByTestId('why').getAttribute('data-code')) === 'audit'; n++) {
    await page.keyboard.press('Space');
    if (n === 0) await acceptName(page);
  }
  const marks = page.locator('[data-testid=item] mark.for');
  await expect(marks.first()).toBeVisible();
  const words = (await marks.allTextContents()).join(' ');
  expect(words).toMatch(/displaced|fracture|cortical|step|line|intact|no|seen|smooth|cortex/i);
  await expect(bar(page).getByRole('status')).toContainText('Speaks most for');
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id} ${nodes.map((node) => node.target.join(' ')).join(', ')}`)).toEqual(
    [],
  );
  await page.screenshot({ path: 'test-results/explain-text.png' });
  for (let n = 0; n < 6; n++) await page.keyboard.press(',');
  await expect(page.locator('[data-testid=item] mark'), 'fainter and fainter, then gone').toHaveCount(0);
});
