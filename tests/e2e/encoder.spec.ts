/**
 * An encoder from elsewhere, at the keyboard: a file that is none is refused with words, one
 * that fits is described, then used, then given up again.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import { expect, test } from '@playwright/test';
import { GraphBuilder } from '../../main/onnx/index.ts';
import { generateSample } from '../../resources/sample-project/generate.ts';
import { runCli } from '../served-desk.ts';
import { hostDesk, type HostedDesk } from './hosted-desk.ts';
import { go, openTab, typeInto } from './keyboard.ts';

const work = mkdtempSync(join(tmpdir(), 'marginalia-encoder-'));
const dir = join(work, 'project');
let desk: HostedDesk;

test.beforeAll(async () => {
  const sample = await generateSample(join(work, 'material'), { seed: 4, cells: 30, notes: 0 });
  await runCli(['new', dir, '--classes', sample.cellClasses.join(',')]);
  await runCli(['import', dir, sample.cellsDir]);
  const g = new GraphBuilder('mean colour');
  const image = g.input('pixels', 'float32', ['n', 3, 32, 32]);
  g.output('colour', 'float32', ['n', 3, 1, 1], g.node('GlobalAveragePool', [image]));
  writeFileSync(join(work, 'colours.onnx'), g.toModel());
  writeFileSync(join(work, 'letter.onnx'), 'Dear colleague');
  desk = await hostDesk(dir);
});
test.afterAll(async () => {
  await desk.stop();
  rmSync(work, { recursive: true, force: true });
});

test('An encoder is checked, described, used and given up again', async ({ page: blank, context }) => {
  const { page, client, close } = await desk.enter(blank, context);
  await expect(page.getByTestId('item')).toBeVisible();
  const live = async () => (await client.encoders.list()).find((encoder) => encoder.live);
  await expect.poll(async () => (await live())?.imported, { timeout: 60_000 }).toBe(false);

  await go(page, 'm');
  const dialog = page.getByRole('dialog');
  const path = dialog.getByTestId('wizard-path');
  await expect(path).toBeFocused();
  await typeInto(page, path, join(work, 'letter.onnx'));
  await page.keyboard.press('Enter');
  await expect(dialog.getByTestId('trouble')).toHaveAttribute('data-code', 'encoder-invalid');
  await typeInto(page, path, join(work, 'colours.onnx'));
  await page.keyboard.press('Enter');
  await expect(dialog.getByTestId('encoder-found')).toContainText('3 numbers');
  await expect(dialog.getByTestId('encoder-use'), 'Enter answers').toBeFocused();
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id} ${nodes.map((node) => node.target.join(' ')).join(', ')}`)).toEqual(
    [],
  );
  await page.screenshot({ path: 'test-results/encoder.png' });
  await page.keyboard.press('Enter');
  await expect(dialog).toBeHidden();
  await expect.poll(live, { timeout: 60_000 }).toMatchObject({ imported: true, dims: 3 });

  await go(page, 'd');
  await openTab(page, 'encoders');
  await expect(page.getByTestId('encoder-own')).toBeVisible();
  await go(page, 'w');
  await expect.poll(async () => (await live())?.imported, { timeout: 60_000 }).toBe(false);
  close();
});
