/**
 * What goes away: the host dies in the middle of labelling and is started again at the same
 * place, and the page goes on without losing anything that was shown as saved; an image's
 * file is gone, and nobody labels what nobody can see.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { generateSample } from '../../resources/sample-project/generate.ts';
import { connectWithCookie, runCli, serveDesk, type ServedDesk } from '../served-desk.ts';
import { acceptName, itemOnScreen } from './keyboard.ts';

const work = mkdtempSync(join(tmpdir(), 'marginalia-outage-'));
let desk: ServedDesk;

test.afterAll(async () => {
  await desk.stop();
  rmSync(work, { recursive: true, force: true });
});

test('A killed host costs nothing that was shown as saved', async ({ page, context }) => {
  const dir = join(work, 'notes');
  await runCli(['sample', dir, '--kind', 'notes']);
  desk = await serveDesk(dir);
  await page.goto(desk.address);
  const label = async (n: number) => {
    const item = await itemOnScreen(page);
    await page.keyboard.press(String(1 + (n % 3)));
    if (n === 0) await acceptName(page);
    await expect(page.getByTestId('item')).not.toHaveAttribute('data-item', item);
    return item;
  };
  await expect(page.getByTestId('item')).toBeVisible();
  const labelled: string[] = [];
  for (let n = 0; n < 6; n++) labelled.push(await label(n));
  await expect(page.locator('[data-saving=true]')).toHaveCount(0);

  await desk.kill();
  await expect(page.getByTestId('reconnecting')).toContainText('Reconnecting');
  labelled.push(await label(6), await label(7));
  await expect(page.locator('[data-saving=true]'), 'not shown as saved').toHaveCount(2);

  desk = await serveDesk(dir, {}, Number(new URL(desk.origin).port));
  await expect(page.getByTestId('reconnecting')).toContainText('Open the address');
  const opened = await context.newPage();
  await opened.goto(desk.address);
  await expect(opened.getByTestId('item')).toBeVisible();
  await opened.close();

  await expect(page.getByTestId('reconnecting')).toBeHidden();
  await expect(page.locator('[data-saving=true]')).toHaveCount(0);
  labelled.push(await label(8));
  const cookie = (await context.cookies()).at(-1)!;
  const { client, close } = await connectWithCookie(desk.origin, `${cookie.name}=${cookie.value}`);
  await expect.poll(async () => (await client.status()).labelled).toBe(labelled.length);
  const acts = await client.annotations.history({ limit: 100 });
  expect(acts.map(({ item }) => item).toReversed(), 'each once, in the order in which they were made').toEqual(
    labelled,
  );
  close();
});

test('An image that is gone is said, and cannot be labelled', async ({ page }) => {
  const dir = join(work, 'cells');
  const sample = await generateSample(join(work, 'material'), { seed: 6, cells: 20, notes: 0 });
  await runCli(['new', dir, '--classes', 'round,long']);
  await runCli(['import', dir, sample.cellsDir]);
  for (const file of readdirSync(sample.cellsDir)) rmSync(join(sample.cellsDir, file));
  await desk.stop();
  desk = await serveDesk(dir);
  await page.goto(desk.address);
  await expect(page.getByTestId('item')).toContainText('no longer at');
  const item = await itemOnScreen(page);
  await page.keyboard.press('1');
  await expect(page.getByTestId('trouble')).toHaveAttribute('data-code', 'item-unseen');
  expect(await itemOnScreen(page)).toBe(item);
  await page.keyboard.press('x');
  await acceptName(page);
  await expect(page.getByTestId('item')).not.toHaveAttribute('data-item', item);
  await expect(page.getByTestId('trouble')).toBeHidden();
});
