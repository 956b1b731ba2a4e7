/**
 * How long an expert waits: from the key press to the next item painted, in a real Chromium
 * on the real host, with nothing else going on, while training runs and while networks are
 * fine-tuned; then what a long
 * session does to the page: its memory, its focus, its layout. Beside the promise of 100 ms.
 * `npm run bench -- desk`; LABELS=1000 for the length of a session.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type CDPSession, type Page } from '@playwright/test';
import { build } from '../../hosts/build.ts';
import { generateSample } from '../../resources/sample-project/generate.ts';
import { installedChromium } from '../chromium.ts';
import { connectWithCookie, runCli, serveDesk, type DeskClient } from '../served-desk.ts';

const PROMISE_MS = 100;
const IDLE = 60;
const BUSY = 100;
const SESSION = Number(process.env.LABELS ?? 300);

interface Wait {
  ms: number;
  /** What the window was doing when it was longest, if it was busy. */
  blockedMs: number;
}

declare global {
  interface Window {
    waits: Wait[];
    shifts: number;
    lostFocus: number;
  }
}

/** Runs in the page: times every class key to the frame after the next item's pixels stand there. */
function watch(): void {
  window.waits = [];
  window.shifts = 0;
  window.lostFocus = 0;
  let blockedMs = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) blockedMs = Math.max(blockedMs, entry.duration);
  }).observe({ type: 'longtask' });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.shifts += (entry as PerformanceEntry & { value: number }).value;
  }).observe({ type: 'layout-shift', buffered: false });
  const shown = () => document.querySelector<HTMLElement>('[data-testid=item]');
  addEventListener(
    'keydown',
    (event) => {
      if (!/^[1-9]$/.test(event.key)) return;
      const before = shown()?.dataset.item;
      const began = event.timeStamp;
      blockedMs = 0;
      if (document.activeElement !== document.body) window.lostFocus++;
      const look = () => {
        const item = shown();
        const id = item?.dataset.item;
        const pixels = item?.querySelector<HTMLImageElement>('img');
        if (!id || id === before || !pixels?.src.includes(id)) {
          requestAnimationFrame(look);
          return;
        }
        void pixels.decode().then(() =>
          requestAnimationFrame(() =>
            requestAnimationFrame(() => {
              window.waits.push({ ms: performance.now() - began, blockedMs });
            }),
          ),
        );
      };
      requestAnimationFrame(look);
    },
    true,
  );
}

async function label(page: Page, n: number): Promise<void> {
  const { length } = await page.evaluate(() => window.waits);
  await page.keyboard.press(String(1 + (n % 4)));
  await page.waitForFunction((before) => window.waits.length > before, length, { polling: 20, timeout: 30_000 });
}

async function idle(client: DeskClient): Promise<void> {
  const isBusy = async () =>
    (await client.status()).jobs.some(({ state }) => state === 'running' || state === 'queued');
  while (await isBusy()) await new Promise((resolve) => setTimeout(resolve, 30));
}

function tell(what: string, waits: readonly Wait[]): void {
  const sorted = waits.map(({ ms }) => ms).toSorted((a, b) => a - b);
  const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))].toFixed(0);
  const late = sorted.filter((ms) => ms > PROMISE_MS).length;
  const blocked = Math.max(0, ...waits.map(({ blockedMs }) => blockedMs)).toFixed(0);
  console.log(
    `  ${what.padEnd(22)} p50 ${at(0.5)}  p95 ${at(0.95)}  p99 ${at(0.99)}  longest ${at(1)} ms; ` +
      `${late} of ${waits.length} over ${PROMISE_MS} ms; longest task in the page ${blocked} ms`,
  );
}

/** Used heap and number of DOM nodes after a collection. */
async function memory(cdp: CDPSession): Promise<{ heapMb: number; nodes: number }> {
  await cdp.send('HeapProfiler.collectGarbage');
  const { metrics } = await cdp.send('Performance.getMetrics');
  const of = (name: string) => metrics.find((metric) => metric.name === name)?.value ?? 0;
  return { heapMb: of('JSHeapUsedSize') / 1e6, nodes: of('Nodes') };
}

const path = installedChromium();
if (path === null) throw new Error('There is no Chromium: install one, or name it in CHROMIUM_PATH.');
if ((await build('desk')) !== 0) throw new Error('The desk could not be built.');
const work = mkdtempSync(join(tmpdir(), 'marginalia-desk-bench-'));
const dir = join(work, 'cells');
try {
  const cells = IDLE + 2 * BUSY + SESSION + 60;
  const sample = await generateSample(join(work, 'material'), { seed: 3, cells, notes: 0 });
  await runCli(['new', dir, '--classes', sample.cellClasses.join(',')]);
  await runCli(['import', dir, sample.cellsDir]);
  const desk = await serveDesk(dir);
  const browser = await chromium.launch({ executablePath: path, chromiumSandbox: process.getuid?.() !== 0 });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.addInitScript(watch);
  await page.addInitScript(() => localStorage.setItem('marginalia-annotator', 'Bench'));
  await page.goto(desk.address);
  await page.getByTestId('item').waitFor({ timeout: 120_000 });
  const [cookie] = await context.cookies();
  const { client, close } = await connectWithCookie(desk.origin, `${cookie.name}=${cookie.value}`);
  const cdp = await context.newCDPSession(page);
  await cdp.send('Performance.enable');
  await idle(client);
  for (let n = 0; n < 20; n++) await label(page, n);
  await idle(client);

  console.log(`Key press to next item painted, ${cells} cells, promise ${PROMISE_MS} ms:`);
  await page.evaluate(() => void (window.waits = []));
  for (let n = 0; n < IDLE; n++) {
    await idle(client);
    await page.waitForTimeout(60);
    await label(page, n);
  }
  tell('idle', await page.evaluate(() => window.waits));

  await page.evaluate(() => void (window.waits = []));
  let training = true;
  const trainer = (async () => {
    while (training) {
      await client.training.start();
      await idle(client);
    }
  })();
  for (let n = 0; n < BUSY; n++) {
    await page.waitForTimeout(150);
    await label(page, n);
  }
  training = false;
  await trainer;
  tell('while training', await page.evaluate(() => window.waits));

  await page.evaluate(() => void (window.waits = []));
  const { job } = await client.training.tune();
  const stage = async () => (await client.status()).jobs.find(({ id }) => id === job)?.stage;
  while ((await stage()) !== 'tuning') await page.waitForTimeout(100);
  for (let n = 0; n < BUSY; n++) {
    await page.waitForTimeout(150);
    await label(page, n);
  }
  // It must have been at it all the while.
  if ((await stage()) !== 'tuning') throw new Error('The fine-tuning ended before the labels did.');
  tell('while fine-tuning', await page.evaluate(() => window.waits));
  await client.jobs.cancel({ job });
  await idle(client);

  await page.evaluate(() => {
    window.waits = [];
    window.shifts = 0;
  });
  const before = await memory(cdp);
  for (let n = 0; n < SESSION; n++) await label(page, n);
  await idle(client);
  tell('as fast as possible', await page.evaluate(() => window.waits));
  const after = await memory(cdp);
  const { shifts, lostFocus } = await page.evaluate(() => ({ shifts: window.shifts, lostFocus: window.lostFocus }));
  console.log(
    `  ${SESSION} labels later: heap ${before.heapMb.toFixed(1)} → ${after.heapMb.toFixed(1)} MB, ` +
      `nodes ${before.nodes} → ${after.nodes}, layout shift ${shifts.toFixed(4)}, keys that found the focus elsewhere ${lostFocus}`,
  );
  close();
  await browser.close();
  await desk.stop();
} finally {
  rmSync(work, { recursive: true, force: true });
}
