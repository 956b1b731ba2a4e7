/**
 * An expert at the keyboard: every step of the end-to-end tests goes through these, and
 * none of them moves a mouse.
 */
import { expect, type Locator, type Page } from '@playwright/test';

/** Moves the focus with Tab until it is on the control. */
export async function tabTo(page: Page, target: Locator): Promise<void> {
  await expect(target).toBeEnabled();
  for (let presses = 0; presses < 120; presses++) {
    if (await target.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`Tab never reached ${String(target)}`);
}

export async function typeInto(page: Page, target: Locator, text: string): Promise<void> {
  await tabTo(page, target);
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.insertText(text);
}

export async function press(page: Page, target: Locator): Promise<void> {
  await tabTo(page, target);
  await page.keyboard.press('Enter');
}

/** Two keys after one another, as the views are reached: `g` `v`. */
export async function go(page: Page, letter: string): Promise<void> {
  await page.keyboard.press('g');
  await page.keyboard.press(letter);
}

/** The id of the item on screen. */
export async function itemOnScreen(page: Page): Promise<string> {
  const id = await page.getByTestId('item').getAttribute('data-item');
  if (!id) throw new Error('No item is on screen');
  return id;
}

/** Gives the annotator's name when it is asked for. */
export async function acceptName(page: Page): Promise<void> {
  const name = page.getByTestId('annotator');
  await expect(name).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(name).toBeHidden();
}

/** Opens one of a list of tabs, by its name in the list, with the arrow keys. */
export async function openTab(page: Page, name: string): Promise<void> {
  await tabTo(page, page.getByRole('tab', { selected: true }));
  for (let presses = 0; presses < 12; presses++) {
    if ((await page.getByRole('tab', { selected: true }).getAttribute('id')) === `tab-${name}`) return;
    await page.keyboard.press('ArrowRight');
  }
  throw new Error(`There is no tab ${name}`);
}
