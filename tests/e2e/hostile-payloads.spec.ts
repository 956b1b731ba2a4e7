/**
 * Three hundred payloads in every place that takes text: item texts, names, groups, columns and
 * their headers, classes, annotators, comments, file names, paths in error messages and the
 * project's name. The whole desk is walked through; each payload is seen as text, and none runs,
 * asks for anything or meets the policy. The same payloads set as markup show what is listened for.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, type Page } from '@playwright/test';
import { connectWithCookie, serveDesk, type DeskClient, type ServedDesk } from '../served-desk.ts';
import { go, press, typeInto } from './keyboard.ts';
import { COUNT, payloads } from './payloads.ts';

const work = mkdtempSync(join(tmpdir(), 'marginalia-payloads-'));
const names = join(work, 'names');
let desk: ServedDesk;

test.beforeAll(async () => {
  mkdirSync(names);
  for (const [n, payload] of payloads('f').entries()) {
    // A file's name holds no slash, no NUL and at most 255 bytes; on Windows nothing of this.
    const name = payload.replaceAll('/', '\u2215').replaceAll('\u0000', '').slice(0, 70);
    if (process.platform !== 'win32') writeFileSync(join(names, `${n} ${name}.txt`), '');
  }
  const [texts, ids, groups, values] = ['t', 'n', 'g', 'v'].map(together);
  const rows = texts.map((text, n) => {
    const columns = Object.fromEntries(
      payloads('h')
        .slice(EACH * n, EACH * (n + 1))
        .map((header) => [header, `${n}`]),
    );
    return { id: ids[n], report: `${text} and ${n}`, group: groups[n], sex: values[n], ...columns };
  });
  writeFileSync(join(work, 'rows.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
  desk = await serveDesk(null, { HOME: work, USERPROFILE: work });
});
test.afterAll(async () => {
  await desk.stop();
  rmSync(work, { recursive: true, force: true });
});

/** Thirty of a sink's payloads in each of ten texts. */
const ITEMS = 10;
const EACH = COUNT / ITEMS;
function together(sink: string): string[] {
  const all = payloads(sink);
  return Array.from({ length: ITEMS }, (_, n) => all.slice(EACH * n, EACH * (n + 1)).join(' '));
}

/** Notes whatever a payload could do. */
async function listen(page: Page): Promise<string[]> {
  const alarms: string[] = [];
  await page.exposeFunction('alarm', (what: string) => void alarms.push(what));
  await page.addInitScript(() => {
    const told = globalThis as unknown as { alarm(what: string): void; hit(name: string): void };
    told.hit = (name) => told.alarm(`ran ${name}`);
    addEventListener('securitypolicyviolation', (event) =>
      told.alarm(`policy ${event.violatedDirective} ${event.sample}`),
    );
  });
  page.on('dialog', (dialog) => void dialog.dismiss().then(() => alarms.push('dialog')));
  page.on('console', (message) => message.type() === 'error' && alarms.push(message.text()));
  page.on('pageerror', (error) => alarms.push(error.message));
  page.on('request', (request) => {
    const { origin, pathname } = new URL(request.url());
    if (origin !== desk.origin || pathname.includes('stolen')) alarms.push(`request ${request.url()}`);
  });
  return alarms;
}

/** Keeps, in the page, the names of all payloads that ever stood in its texts, attributes and fields. */
function remember(): void {
  const kept = globalThis as unknown as { namesSeen: Set<string> };
  kept.namesSeen = new Set();
  const note = (text: string | null) => {
    for (const [, name] of (text ?? '').matchAll(/hit\('([a-z]\d+)'\)/g)) kept.namesSeen.add(name);
  };
  const noteElement = (root: Element) => {
    note(root.textContent);
    for (const element of [root, ...root.querySelectorAll('*')]) {
      for (const { value } of element.attributes) note(value);
      if ('value' in element) note(String(element.value));
    }
  };
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === 'characterData') note(target.textContent);
      else if (type === 'attributes') noteElement(target as Element);
      for (const node of addedNodes)
        if (node instanceof Element) noteElement(node);
        else note(node.textContent);
    }
  }).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
}

/** Adds what was seen since the page was loaded, by sink. */
async function seenIn(page: Page, counts: Record<string, Set<string>>): Promise<void> {
  const names = await page.evaluate(() => [...(globalThis as unknown as { namesSeen: Set<string> }).namesSeen]);
  for (const name of names) (counts[name[0]] ??= new Set()).add(name);
}

/** Elements that only a payload would make. */
function foreign(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    [
      ...document.querySelectorAll(
        '[onerror], [onload], [onfocus], [ontoggle], [onclick], iframe, object, embed, base, marquee, script, [href^="javascript" i], [src*="stolen"]',
      ),
    ]
      .filter(
        (element) =>
          !(element instanceof HTMLScriptElement && /^\/assets\/[\w.-]+$/.test(new URL(element.src).pathname)),
      )
      .map((element) => element.outerHTML),
  );
}

test('The payloads run where they are markup', async ({ page }) => {
  const alarms = await listen(page);
  await page.route('**/*', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><body>' }));
  await page.goto('http://127.0.0.1/');
  for (const payload of payloads('m')) {
    await page.evaluate(
      (html) => {
        const box = document.createElement('div');
        box.innerHTML = html;
        document.body.replaceChildren(box);
      },
      payload.replace(/<meta[^>]*>/, ''),
    );
  }
  await page.waitForTimeout(300);
  const ran = new Set(alarms.filter((alarm) => alarm.startsWith('ran ')));
  expect(ran.size).toBeGreaterThan(60);
  expect(alarms.filter((alarm) => alarm.startsWith('request ')).length).toBeGreaterThan(20);
});

test('Three hundred payloads in every place that takes text are text', async ({ page, context }) => {
  const alarms = await listen(page);
  await page.addInitScript(remember);
  const seen: Record<string, Set<string>> = {};
  const look = async () => expect(await foreign(page)).toEqual([]);
  await page.goto(desk.address);
  await expect(page.getByTestId('new-project')).toBeVisible();

  // Paths that lead nowhere, in errors; a table's headers and rows before they are imported.
  await press(page, page.getByTestId('new-project'));
  const paths = payloads('e').map((payload) => payload.replaceAll('\u0000', ''));
  for (let n = 0; n < COUNT; n += 25) {
    await page.getByTestId('wizard-path').fill(join(work, paths.slice(n, n + 25).join(' ')).slice(0, 4096));
    await page.keyboard.press('Enter');
    await expect(page.locator('.wizard')).toContainText(`hit('e${n}')`);
    await look();
  }
  await typeInto(page, page.getByTestId('wizard-path'), join(work, 'rows.jsonl'));
  await page.keyboard.press('Enter');
  await expect(page.locator('.wizard').getByRole('table')).toBeVisible();
  await look();
  await seenIn(page, seen);

  const [cookie] = await context.cookies();
  const { client, close } = await connectWithCookie(desk.origin, `${cookie.name}=${cookie.value}`);
  await fill(client);
  close();
  await page.reload();
  await expect(page.getByTestId('item')).toBeVisible();
  for (const view of ['l', 'e', 'a', 'k', 'y', 'r', 'v', 'd']) {
    await go(page, view);
    await page.waitForTimeout(200);
    await look();
    for (const tab of await page.getByRole('tab').all()) {
      await tab.click();
      await page.waitForTimeout(100);
      await look();
    }
  }
  await page.getByRole('tab').first().click();
  await page.getByTestId('items').focus();
  const detail = page.locator('[data-testid=items] ~ section');
  const textOf = async () => /hit\('t\d+'\)/.exec((await detail.textContent()) ?? '')?.[0];
  for (let n = 0; n < ITEMS; n++) {
    const shown = await textOf();
    await page.keyboard.press('ArrowDown');
    await expect.poll(textOf).not.toBe(shown);
    await expect(detail).toContainText("hit('k");
  }
  await look();
  await seenIn(page, seen);

  expect(alarms).toEqual([]);
  const counts = Object.fromEntries(Object.entries(seen).map(([sink, names]) => [sink, names.size]));
  // Paths in errors, headers, classes, names and groups, texts and comments; annotators (cut at 200 characters) and files (at 70).
  for (const sink of 'ehcngtka') expect(counts[sink], sink).toBeGreaterThanOrEqual(COUNT - EACH);
  if (process.platform !== 'win32') expect(counts.f).toBeGreaterThan(200);
});

/** A project in which every word is a payload. */
async function fill(client: DeskClient): Promise<void> {
  const classes = payloads('c');
  const [annotators, comments] = [payloads('a'), payloads('k')];
  await client.desk.create({ dir: join(work, 'project'), name: payloads('p')[0], classes });
  const { job } = await client.imports.start({
    sources: [join(work, 'rows.jsonl'), names],
    mapping: { text: 'report', id: 'id', group: 'group', attributes: ['sex'] },
  });
  await expect
    .poll(async () => (await client.jobs.list()).find(({ id }) => id === job)?.state, { timeout: 60_000 })
    .toBe('done');
  const { items } = await client.items.list({ limit: 500 });
  for (let n = 0; n < COUNT; n++) {
    const act = { item: items[Math.floor(n / EACH)].id, annotator: annotators[n].slice(0, 200), durationMs: 1000 };
    if (n % 60 === 0) await client.annotations.add({ ...act, act: 'label', classes: [classes[n]] });
    await client.annotations.add({ ...act, act: 'comment', text: comments[n] });
  }
}
