/**
 * The shell's parts one by one: what a crash report may hold, where a window is put, what is
 * remembered over a damaged file, the menus of each system in both languages, and what shows
 * that something is at work.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import type { BrowserWindow, MenuItemConstructorOptions } from 'electron';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { AtWork } from '../../electron/at-work.ts';
import { Crashes, redacted } from '../../electron/crashes.ts';
import { menuTemplate } from '../../electron/menu.ts';
import { placeOn, Remembered } from '../../electron/remembered.ts';
import { languageOf, LANGUAGES, wordsOf } from '../../electron/words.ts';
import { SHORTCUTS } from '../../renderer/shortcuts.ts';
import { said } from './stand-in.ts';

vi.mock('electron', () => import('./stand-in.ts'));

const work = mkdtempSync(join(tmpdir(), 'marginalia-parts-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const STACK = `/home/ward7/Ms Jane Roe 1950/out/main/engine.js:120
    throw new Error(text)
    ^

TypeError: Cannot read "Jane Roe, nodule in the left lobe" of undefined
    at Loop.choose (file:///home/ward7/Ms%20Jane%20Roe/out/main/shared-Ab12.js:120:13)
    at async /home/ward7/roe/main/engine.ts:7:1
    at node:internal/process/task_queues:104:5
    at open (/home/ward7/Jane Roe/notes.txt:1:2)
SqliteError: SQLITE_IOERR_FSYNC while writing /home/ward7/roe/project.sqlite
Error: ENOSPC: no space left on device, open '/home/ward7/roe.jpg'
FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory
`;

describe('A crash report', () => {
  test('tells the errors and the places in programs, and nothing of a project', () => {
    expect(redacted(STACK)).toEqual([
      'TypeError',
      '  at Loop.choose shared-Ab12.js:120:13',
      '  at engine.ts:7:1',
      '  at node:internal/process/task_queues:104:5',
      '  at open …:1:2',
      'SqliteError SQLITE_IOERR_FSYNC',
      'Error ENOSPC',
      'FATAL ERROR: JavaScript heap out of memory',
    ]);
  });

  test('holds no word of what an error quotes, whatever that is', () => {
    const word = fc.stringMatching(/^[a-z]{6,12}$/);
    const line = fc.oneof(
      fc.tuple(word, word).map(([a, b]) => `TypeError: “${a}” is not ${b}`),
      fc.tuple(word, word).map(([a, b]) => `    at /data/${a}/${b}:3:4`),
      fc.tuple(word, word).map(([a, b]) => `    at ${a} ${b} (/data/${a}.dcm:3:4)`),
      fc.tuple(word, word).map(([a, b]) => `${a}: ${b} SQLITE_BUSY`),
      fc.string({ unit: 'grapheme' }),
    );
    const ours = 'TypeError SQLITE_BUSY at';
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
        const told = redacted(lines.join('\n')).join('\n');
        const words = lines.flatMap((one) => one.match(/[a-z]{6,}/g) ?? []).filter((one) => !ours.includes(one));
        return words.every((one) => !told.includes(one));
      }),
      { numRuns: 300 },
    );
    // A redaction that keeps messages is caught.
    expect(STACK).toContain('Jane Roe');
    expect(redacted(STACK).join('\n')).not.toMatch(/Jane|Roe|roe|ward7|lobe|notes|home/);
  });

  test('is one of the last twenty, for this account alone, and a damaged one is passed over', () => {
    const crashes = new Crashes(join(work, 'crashes'), { app: '1' });
    expect(crashes.list()).toEqual([]);
    for (let n = 0; n < 25; n++)
      crashes.keep({ at: 1e12 + n * 1000, startedAt: 1e12, code: n, signal: null, stderr: STACK });
    const files = readdirSync(join(work, 'crashes'));
    expect(files).toHaveLength(20);
    expect(crashes.list().map(({ code }) => code)).toEqual(Array.from({ length: 20 }, (_, i) => 24 - i));
    if (process.platform !== 'win32') expect(statSync(join(work, 'crashes', files[0])).mode & 0o077).toBe(0);
    writeFileSync(join(work, 'crashes', files[0]), '{');
    expect(crashes.list()).toHaveLength(19);
  });
});

describe('The window', () => {
  const screen = { x: 0, y: 0, width: 1920, height: 1040 };
  const left = { x: -1920, y: 0, width: 1920, height: 1080 };

  test.each([
    ['the first time', [screen], null, { width: 1280, height: 800 }],
    [
      'where it was',
      [screen],
      { x: 100, y: 50, width: 1000, height: 700 },
      { x: 100, y: 50, width: 1000, height: 700 },
    ],
    [
      'on a second screen',
      [screen, left],
      { x: -1500, y: 50, width: 1000, height: 700 },
      { x: -1500, y: 50, width: 1000, height: 700 },
    ],
    ['whose screen is gone', [screen], { x: -1500, y: 50, width: 1000, height: 700 }, { width: 1000, height: 700 }],
    [
      'with its bar above the screen',
      [screen],
      { x: 100, y: -300, width: 1000, height: 700 },
      { width: 1000, height: 700 },
    ],
    ['almost off the screen', [screen], { x: 1900, y: 50, width: 1000, height: 700 }, { width: 1000, height: 700 }],
    [
      'larger than the screen',
      [{ ...screen, width: 1000, height: 600 }],
      { x: 0, y: 0, width: 3000, height: 2000 },
      { x: 0, y: 0, width: 1000, height: 600 },
    ],
    ['as good as closed', [screen], { x: 0, y: 0, width: 5, height: 5 }, null],
  ])('is put %s', (_when, screens, was, expected) => {
    const placed = placeOn(screens, was);
    if (expected === null) expect(placed.width).toBeGreaterThanOrEqual(900);
    else expect(placed).toEqual(expected);
  });

  test('and what else is remembered survive a start, and a damaged file is as good as none', () => {
    const file = join(work, 'data/shell.json');
    const first = new Remembered(file);
    expect(first.begin()).toBe(0);
    for (let n = 0; n < 12; n++) first.opened(`/p/${n}`, `p${n}`);
    first.opened('/p/5', 'renamed');
    const second = new Remembered(file);
    expect(second.begin(), 'the first did not end').toBe(1);
    expect(second.recent).toHaveLength(10);
    expect(second.recent[0]).toEqual({ dir: '/p/5', name: 'renamed' });
    second.end();
    expect(new Remembered(file).begin()).toBe(0);
    for (const damaged of [
      '',
      '{',
      '[]',
      '7',
      '{"bounds":{"x":"0"}}',
      '{"recent":[{"dir":7}]}',
      '{"unfinished":1.5}',
    ]) {
      writeFileSync(file, damaged);
      expect(new Remembered(file).recent).toEqual([]);
    }
  });
});

/** Every item of a menu, however deep. */
function all(menu: MenuItemConstructorOptions[]): MenuItemConstructorOptions[] {
  return menu.flatMap((entry) => [entry, ...(Array.isArray(entry.submenu) ? all(entry.submenu) : [])]);
}

describe('The menus', () => {
  const commands: string[] = [];
  const template = (platform: NodeJS.Platform, language: (typeof LANGUAGES)[number], devTools = false) =>
    menuTemplate({
      ...{ platform, devTools, words: wordsOf(language), recent: [{ dir: '/p', name: 'P' }] },
      ...{
        command: (id) => void commands.push(id),
        open: vi.fn(),
        chooseProject: vi.fn(),
        crashes: vi.fn(),
        safeMode: vi.fn(),
      },
    });

  test.each(['win32', 'darwin', 'linux'] as const)(
    'of %s have a way to quit, to copy, and only commands that the desk has',
    (platform) => {
      for (const language of LANGUAGES) {
        const items = all(template(platform, language));
        const roles = items.map(({ role }) => role);
        expect(roles).toEqual(expect.arrayContaining(['quit', 'copy', 'paste', 'about', 'close']));
        expect(roles.includes('appMenu')).toBe(platform === 'darwin');
        expect(roles).not.toContain('toggleDevTools');
        for (const { click } of items) (click as (() => void) | undefined)?.();
      }
      expect(all(template(platform, 'en', true)).map(({ role }) => role)).toContain('toggleDevTools');
      const known = new Set<string>(SHORTCUTS.map(({ id }) => id));
      expect(commands.filter((id) => !known.has(id))).toEqual([]);
      expect(commands.length).toBeGreaterThan(0);
    },
  );

  test('and dialogs have every word in both languages', () => {
    const [en, zh] = LANGUAGES.map(wordsOf);
    expect(Object.keys(zh)).toEqual(Object.keys(en));
    for (const word of Object.values(zh)) expect(word).toMatch(/\p{Script=Han}/u);
    expect(['zh-Hans-CN', 'de-DE,', 'fr'].map((tag) => languageOf([tag]))).toEqual(['zh-CN', 'en', 'en']);
    expect(languageOf(['de', 'zh', 'en'])).toBe('zh-CN');
    expect(readFileSync(join(import.meta.dirname, '../../electron/shell.ts'), 'utf8')).not.toMatch(/message: '/);
  });
});

describe('Work', () => {
  test('shows in the tray for long runs and for those without a window, and nowhere when it is done', () => {
    const bars: unknown[][] = [];
    const there = { setProgressBar: (...bar: unknown[]) => bars.push(bar) } as unknown as BrowserWindow;
    let window: BrowserWindow | null = there;
    const atWork = new AtWork({ words: () => wordsOf('en'), window: () => window, show: vi.fn(), quit: vi.fn() });
    atWork.set([{ kind: 'train', progress: null, paused: false }]);
    expect(bars.at(-1)![0], 'no end known').toBeGreaterThan(1);
    expect(said.trays).toHaveLength(0);
    expect(said.blockers.size).toBe(1);
    atWork.set([{ kind: 'tune', progress: 0.421, paused: false }]);
    expect(said.trays[0].tip).toContain('42 %');
    atWork.set([{ kind: 'tune', progress: 0.421, paused: true }]);
    expect(said.blockers.size, 'a machine may sleep while a run stands still').toBe(0);
    expect(said.trays[0].tip).toContain('paused');
    expect(atWork.isBusy).toBe(false);
    atWork.set([]);
    expect(said.trays[0].isDestroyed).toBe(true);
    expect(bars.at(-1)![0]).toBe(-1);
    window = null;
    atWork.set([{ kind: 'import', progress: 0.5, paused: false }]);
    expect(said.trays).toHaveLength(2);
    atWork.set([]);
    expect(said.blockers.size).toBe(0);
  });
});
