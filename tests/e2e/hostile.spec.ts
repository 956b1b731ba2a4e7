/**
 * Names, texts, classes, groups and table headers that try to be markup or to turn what
 * stands beside them: nothing of it runs, is asked for or hides; it is shown as it is.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { hostDesk, type HostedDesk } from './hosted-desk.ts';
import { acceptName, go, itemOnScreen, press, typeInto } from './keyboard.ts';

const MARKUP = '<img src=/stolen onerror=alert(1)>';
const SCRIPT = '"><svg onload=alert(2)></svg><script>alert(3)</script>{@html 1}${alert(4)}';
const TURNED = 'benign\u202Etnangilam\u2066\u200F';
const SHOWN = 'benign[U+202E]tnangilam[U+2066][U+200F]';

const work = mkdtempSync(join(tmpdir(), 'marginalia-hostile-'));
const table = join(work, 'material', 'rows.jsonl');
let desk: HostedDesk;

test.beforeAll(async () => {
  mkdirSync(join(work, 'material'));
  const rows = Array.from({ length: 30 }, (_, i) => ({
    id: `${MARKUP} ${TURNED} ${i}`,
    report: `${SCRIPT} ${TURNED} report ${i}`,
    group: `${MARKUP} ${i % 5}`,
    [MARKUP]: i,
    [TURNED]: i % 2 ? SCRIPT : TURNED,
  }));
  writeFileSync(table, rows.map((row) => JSON.stringify(row)).join('\n'));
  desk = await hostDesk(null, { HOME: work, USERPROFILE: work });
});
test.afterAll(async () => {
  await desk.stop();
  rmSync(work, { recursive: true, force: true });
});

test('What comes from files is words, in every view', async ({ page: blank, context }) => {
  const alarms: string[] = [];
  const requests: string[] = [];
  const { page, origin } = await desk.enter(blank, context, async (shown) => {
    shown.on('dialog', (dialog) => {
      alarms.push(`dialog ${dialog.message()}`);
      void dialog.dismiss();
    });
    shown.on('console', (message) => message.type() === 'error' && alarms.push(message.text()));
    shown.on('pageerror', (error) => alarms.push(error.message));
    shown.on('request', (request) => requests.push(request.url()));
    await shown.addInitScript(() =>
      addEventListener('securitypolicyviolation', (event) => console.error(`CSP ${event.violatedDirective}`)),
    );
  });

  await press(page, page.getByTestId('new-project'));
  await typeInto(page, page.getByTestId('wizard-path'), table);
  await page.keyboard.press('Enter');
  const wizard = page.locator('.wizard');
  await expect(wizard.getByRole('table')).toContainText(SHOWN);
  await expect(wizard.getByRole('table')).toContainText(MARKUP);
  await page.screenshot({ path: 'test-results/hostile-preview.png' });
  await press(page, page.locator('[data-testid=wizard-next][data-step=preview]'));
  await typeInto(page, page.getByTestId('wizard-name'), `${MARKUP} ${TURNED}`);
  await typeInto(page, page.getByTestId('wizard-classes'), [MARKUP, SCRIPT, TURNED].join('\n'));
  await typeInto(page, page.getByTestId('wizard-dir'), join(work, 'project'));
  await press(page, page.locator('[data-testid=wizard-next][data-step=project]'));

  await expect(page.getByTestId('item')).toContainText(SHOWN);
  await expect(page.getByTestId('item')).toContainText(SCRIPT.slice(0, 30));
  await expect(page.getByTestId('class-1')).toContainText(MARKUP);
  await expect(page.getByTestId('class-3')).toContainText(SHOWN);
  await expect(page.getByTestId('item-name')).toContainText(SHOWN);
  for (let n = 0; n < 12; n++) {
    const item = await itemOnScreen(page);
    await page.keyboard.press(String(1 + (n % 3)));
    if (n === 0) await acceptName(page);
    await expect(page.getByTestId('item')).not.toHaveAttribute('data-item', item);
  }
  await page.keyboard.press('c');
  await expect(page.getByTestId('comment-text')).toBeFocused();
  await page.keyboard.insertText(`${MARKUP} ${TURNED}`);
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('why')).toContainText(SHOWN);
  await page.screenshot({ path: 'test-results/hostile-label.png' });
  await page.keyboard.press('ControlOrMeta+k');
  await page.keyboard.insertText('benign');
  await expect(page.getByRole('dialog')).toContainText(SHOWN);
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toBeHidden();
  const turns = () =>
    page.evaluate(() => /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/.test(document.body.innerText));
  await page.keyboard.press('w');
  await expect(page.getByTestId('why-sheet')).toBeVisible();
  for (const view of ['l', 'e', 'a', 'k', 'y', 'r', 'v', 'd']) {
    await go(page, view);
    await page.waitForTimeout(400);
    expect(await turns(), `a control that turns text reached the page (${view})`).toBe(false);
    await page.screenshot({ path: `test-results/hostile-${view}.png` });
  }
  await expect(page.getByTestId('items')).toContainText(SHOWN);
  await expect(page.getByTestId('items')).toContainText(MARKUP);

  expect(alarms).toEqual([]);
  expect(requests.filter((url) => !url.startsWith(origin) || url.includes('stolen'))).toEqual([]);
});
