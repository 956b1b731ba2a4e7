/** Backup and check from the desk, by the keyboard alone, in a folder that a program copies elsewhere. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { runCli, serveDesk } from '../served-desk.ts';

/** Backup and check run below everything else: on a busy machine they take their time. */
const PATIENTLY = { timeout: 90_000 };

const work = mkdtempSync(join(tmpdir(), 'marginalia-safekeeping-'));
test.afterAll(() => rmSync(work, { recursive: true, force: true }));

test('A project is backed up, checked and restored, and the desk says what speaks against its place', async ({
  page,
}) => {
  const dir = join(work, 'synchronised', 'notes');
  await runCli(['sample', dir, '--kind', 'notes']);
  mkdirSync(join(work, 'synchronised', '.stfolder'));
  const desk = await serveDesk(dir);
  try {
    await page.goto(desk.address);
    await page
      .getByRole('button', { name: 'Data' })
      .or(page.getByRole('link', { name: 'Data' }))
      .first()
      .press('Enter');
    await page.locator('#tab-items').press('End');
    await expect(page.locator('#tab-safekeeping')).toBeFocused();
    await expect(page.getByTestId('safe-warnings')).toContainText('Syncthing');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Control+a');
    const file = join(work, 'notes.backup');
    await page.keyboard.type(file);
    await page.keyboard.press('Enter');
    await expect(page.getByTestId('backup-last')).toContainText(file, PATIENTLY);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await expect(page.getByTestId('check-found')).toHaveText('Everything is as it was recorded.', PATIENTLY);
    expect(existsSync(file)).toBe(true);
  } finally {
    await desk.stop();
  }
  const restored = join(work, 'restored');
  await runCli(['restore', join(work, 'notes.backup'), restored]);
  await runCli(['verify', restored]);
});
