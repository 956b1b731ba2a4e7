/**
 * `npm start` as a newcomer runs it: the sample project is made, the address is printed,
 * and the labelling view can be used at once, in both themes and languages, without a
 * finding of axe.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import { expect, test, type Page } from '@playwright/test';
import { ROOT } from '../served-desk.ts';
import { acceptName, go, itemOnScreen } from './keyboard.ts';

const work = mkdtempSync(join(tmpdir(), 'marginalia-start-'));
let started: ChildProcess;
let address = '';
let said = '';

test.beforeAll(async () => {
  test.setTimeout(240_000);
  started = spawn(process.execPath, [join(ROOT, 'hosts/launch.cjs'), 'start', '--no-open'], {
    cwd: ROOT,
    env: {
      ...process.env,
      HOME: work,
      USERPROFILE: work,
      XDG_DATA_HOME: join(work, 'data'),
      LOCALAPPDATA: join(work, 'data'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.stderr?.on('data', (data: Buffer) => (said += data.toString()));
  address = await new Promise<string>((resolve, reject) => {
    started.stdout?.on('data', (data: Buffer) => {
      said += data.toString();
      const found = /http:\/\/127\.0\.0\.1:\S+/.exec(said);
      if (found) resolve(found[0]);
    });
    started.once('exit', () => reject(new Error(`npm start ended: ${said}`)));
  });
});

test.afterAll(async () => {
  const ended = new Promise((resolve) => started.once('exit', resolve));
  started.kill('SIGTERM');
  await ended;
  rmSync(work, { recursive: true, force: true });
});

async function expectAccessible(page: Page, where: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(
    violations.map(({ id, nodes }) => `${where}: ${id} ${nodes.map((node) => node.target.join(' ')).join(', ')}`),
  ).toEqual([]);
}

test('npm start shows the labelling view of the sample, and says that it is simulated', async ({ page }) => {
  expect(said).toMatch(/Electron|desktop/i);
  await page.goto(address);
  await expect(page.getByTestId('item')).toBeVisible();
  await expect(page.getByTestId('simulated')).toBeVisible();
  const first = await itemOnScreen(page);
  await page.screenshot({ path: 'test-results/start.png' });
  await page.keyboard.press('1');
  await acceptName(page);
  await expect(page.getByTestId('item')).not.toHaveAttribute('data-item', first);
  const overflow = await page.evaluate(() => ({
    x: document.documentElement.scrollWidth > innerWidth,
    y: document.documentElement.scrollHeight > innerHeight,
  }));
  expect(overflow, 'nothing scrolls at 1280 × 720').toEqual({ x: false, y: false });

  await expect(page.locator('html'), 'dark until somebody chooses').toHaveAttribute('data-theme', 'dark');
  for (const theme of ['dark', 'light'] as const) {
    if (theme === 'light') await page.keyboard.press('Alt+Shift+T');
    await expect(page.locator('html')).toHaveAttribute('data-theme', theme);
    for (const view of ['l', 'e', 'v', 'd']) {
      await go(page, view);
      await page.waitForTimeout(300);
      await expectAccessible(page, `${theme} ${view}`);
      await page.screenshot({ path: `test-results/${theme}-${view}.png` });
    }
  }
  await go(page, 'l');
  await page.keyboard.press('Alt+Shift+T');
  await expect(page.getByTestId('theme')).toHaveAttribute('data-theme-chosen', 'system');
  await page.emulateMedia({ colorScheme: 'dark' });
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'light');
  await page.keyboard.press('Shift+?');
  await expect(page.getByRole('dialog')).toBeVisible();
  await expectAccessible(page, 'help');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Alt+Shift+L');
  await expect(page.locator('html')).toHaveAttribute('lang', 'zh-CN');
  await expect(page.getByTestId('item')).toBeVisible();
  await page.screenshot({ path: 'test-results/label-zh.png' });
});
