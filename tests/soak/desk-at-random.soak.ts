/**
 * Part `desk-at-random` of `npm run soak`: every key of the desk, every button in sight and some
 * typing, in any order and faster than anybody, in a real Chromium on a project of images and
 * on one of texts with several classes each. The page never fails and never is blank, the host
 * has nothing to say, and afterwards the project is sound. `--seed=N`, `--seconds=N` for each.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium, type Page } from '@playwright/test';
import { createRng, type Rng } from '../../main/domain/rng.ts';
import { openReader } from '../../main/store/index.ts';
import { CLASS_KEYS, SHORTCUTS } from '../../renderer/shortcuts.ts';
import { generateSample } from '../../resources/sample-project/generate.ts';
import { provideChromium } from '../chromium.ts';
import { acceptName } from '../e2e/keyboard.ts';
import { ROOT, runJson, serveDesk } from '../served-desk.ts';
import { flag } from './parts.ts';

const browser = provideChromium(ROOT);
if ('reason' in browser) {
  console.log(`not run here: ${browser.reason}`);
  process.exit(77);
}
const SECONDS = flag('seconds', 60);
const SEED = flag('seed', 1);
/** Elements that a mouse finds. */
const IN_SIGHT = ['button', '[role=tab]', 'summary', 'select', 'input'].map((name) => `${name}:visible`).join(', ');
const TYPED = ['Kim', 'abc', '-1', '999999', '/nowhere', '.5', '细胞', ' '];
/** Every key of the desk as Playwright names it, and more often those that label. */
const KEYS = [
  ...SHORTCUTS.flatMap(({ keys }) => [...keys]),
  ...CLASS_KEYS,
  ...['Tab', 'Tab', 'Shift+Tab', 'Escape', 'Escape'],
  ...Array.from({ length: 8 }, () => ['g l', 'Enter', ...CLASS_KEYS.slice(0, 4)]).flat(),
].map((keys) => keys.replaceAll('$mod', 'Control').replace('[Shift]+', ''));

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'marginalia-random-'));
const wrong: string[] = [];

/** Listens to what must not come; `did` is what was done last. */
function listen(page: Page, name: string, did: readonly string[]): void {
  const note = (what: string) => wrong.push(`${name}: ${what.slice(0, 300)}, after ${did.slice(-10).join(' ')}`);
  page.on('console', (message) => message.type() === 'error' && note(message.text()));
  page.on('pageerror', (error) => note(error.stack ?? error.message));
  page.on('crash', () => note('the page crashed'));
}

async function actOnce(page: Page, rng: Rng): Promise<string> {
  const chance = rng.next();
  if (chance < 0.75) {
    const keys = KEYS[rng.int(KEYS.length)];
    for (const key of keys.split(' ')) await page.keyboard.press(key);
    return keys;
  }
  if (chance > 0.95) {
    const text = TYPED[rng.int(TYPED.length)];
    await page.keyboard.type(text);
    return `“${text}”`;
  }
  const elements = page.locator(IN_SIGHT);
  const count = await elements.count();
  if (count === 0) return 'nothing to click';
  const element = elements.nth(rng.int(count));
  // What is gone by now, or under a dialog, is not clicked.
  const done = await element.click({ timeout: 400, force: true }).then(
    () => 'click',
    () => 'no click',
  );
  return `${done} ${(await element.textContent({ timeout: 200 }).catch(() => '')) ?? ''}`.slice(0, 30);
}

/** `label`: the keys of a first label, after which the desk asks for a name. */
async function walk(name: string, dir: string, label: string[], rng: Rng): Promise<number> {
  const desk = await serveDesk(dir);
  const own = await chromium.launch({
    ...('path' in browser && { executablePath: browser.path }),
    chromiumSandbox: process.getuid?.() !== 0,
    args: ['--disable-background-networking', '--no-first-run'],
  });
  const did: string[] = [];
  try {
    const page = await own.newPage({ viewport: { width: 1280, height: 720 } });
    listen(page, name, did);
    await page.goto(desk.address);
    await page.getByTestId('item').waitFor();
    for (const key of label) await page.keyboard.press(key);
    await acceptName(page);
    const end = performance.now() + SECONDS * 1000;
    while (performance.now() < end) {
      did.push(await actOnce(page, rng));
      if (rng.int(12) === 0) await page.waitForTimeout(300);
      const isChecked = did.length % 50 === 0;
      if (isChecked && (await page.locator('body').innerText()).trim().length < 20)
        wrong.push(`${name}: the page is blank, after ${did.slice(-10).join(' ')}`);
    }
  } finally {
    await own.close();
    await desk.stop();
  }
  if (desk.log().trim() !== '') wrong.push(`${name}: the host says ${desk.log().slice(0, 600)}`);
  const reader = openReader(dir);
  const { problems } = reader.verify();
  console.log(`  ${name}: ${did.length} acts, ${reader.annotations.head().sequence} annotations`);
  reader.close();
  wrong.push(...problems.map(({ where, message }) => `${name}: ${where}: ${message}`));
  return did.length;
}

try {
  const sample = await generateSample(path.join(folder, 'sample'), { seed: 1, cells: 60, notes: 0 });
  const images = path.join(folder, 'images');
  await runJson('new', images, '--classes', sample.cellClasses.join(','));
  await runJson('import', images, sample.cellsTable, '--image', 'image', '--id', 'id', '--group', 'slide');
  const texts = path.join(folder, 'texts');
  const rng = createRng(SEED);
  const words = () => Array.from({ length: 20 }, () => `word${rng.int(80)}`).join(' ');
  const rows = Array.from({ length: 200 }, (_, i) => `n${i},${words()},${'AB'[rng.int(2)]}`);
  fs.writeFileSync(path.join(folder, 'notes.csv'), `id,text,site\n${rows.join('\n')}\n`);
  await runJson('new', texts, '--classes', 'fever,rash,cough', '--task', 'classify-many');
  await runJson('import', texts, path.join(folder, 'notes.csv'), '--text', 'text', '--attributes', 'site');
  const acts = (await walk('images', images, ['1'], rng)) + (await walk('texts', texts, ['1', 'Enter'], rng));
  console.log(`${acts} acts: ${wrong.length} wrong`);
  if (acts < 100) wrong.push('hardly anything was done');
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
for (const line of wrong.slice(0, 20)) console.error(`  WRONG ${line}`);
process.exitCode = wrong.length > 0 ? 1 : 0;
