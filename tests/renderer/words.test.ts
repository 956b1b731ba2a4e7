/** The key table and the codes that become words: nothing twice, nothing unsaid. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ACTS } from '../../main/domain/annotation.ts';
import { DEVICES } from '../../main/domain/device.ts';
import { ERROR_CODES } from '../../main/domain/errors.ts';
import { caps, CLASS_KEYS, CLASS_KEYS_IN, holdsIn, keyboard, SHORTCUTS, type Scope } from '../../renderer/shortcuts.ts';
import { ROLES } from '../../renderer/state/mapping.ts';

const english = JSON.parse(readFileSync(new URL('../../renderer/i18n/en.json', import.meta.url), 'utf8')) as Record<
  string,
  unknown
>;
const key = (prefix: string, code: string) => `${prefix}_${code.replaceAll('-', '_')}`;
const unsaid = (prefix: string, codes: readonly string[]) =>
  codes.map((code) => key(prefix, code)).filter((k) => !(k in english));

describe('The keys', () => {
  test('mean one thing each wherever they work', () => {
    for (const scope of ['label', 'looks', 'tray', 'versions', 'data'] as const) {
      const active = SHORTCUTS.filter((entry) => holdsIn(entry, scope));
      const keys = active.flatMap((entry) => entry.keys as readonly string[]);
      const classes = CLASS_KEYS.slice(0, CLASS_KEYS_IN[scope] ?? 0).filter((k) => k !== '0');
      const own = [...keys, ...classes];
      expect(own.filter((k, i) => own.indexOf(k) !== i)).toEqual([]);
    }
  });

  test('are printed as they stand on the keyboard', () => {
    expect(caps('g l')).toEqual(['G', 'L']);
    expect(caps('Shift+R')).toEqual(['⇧', 'R']);
    expect(caps('[Shift]+?')).toEqual(['?']);
    expect(caps('[Shift]++')).toEqual(['+']);
    expect(caps('$mod+Shift+Z').slice(1)).toEqual(['⇧', 'Z']);
  });

  test('all say what they do', () => {
    for (const entry of SHORTCUTS) expect(entry.says().length, entry.id).toBeGreaterThan(2);
  });
});

describe('Codes of the engine', () => {
  test('have words: errors, acts, columns, strategies, reasons, decisions, jobs', () => {
    expect(unsaid('error', [...ERROR_CODES, 'unexpected', 'connection-lost'])).toEqual([]);
    expect(unsaid('act', ACTS)).toEqual([]);
    expect(unsaid('role', ROLES)).toEqual([]);
    const strategies = ['random', 'audit', 'typicality', 'margin', 'margin-diverse', 'least-confidence', 'entropy'];
    expect(unsaid('strategy', strategies)).toEqual([]);
    expect(unsaid('why', strategies)).toEqual([]);
    expect(unsaid('decision', ['first', 'better', 'equal', 'not-worse', 'no-audit', 'worse'])).toEqual([]);
    expect(unsaid('job', ['import', 'encode', 'train', 'queue', 'simulate', 'tune', 'export'])).toEqual([]);
    expect(
      unsaid('stage', [
        'reading',
        'fitting',
        'embedding',
        'training',
        'choosing',
        'simulating',
        'tuning',
        'paused',
        'exporting',
        'measuring',
      ]),
    ).toEqual([]);
    expect(unsaid('notice', ['batch-halved', 'device-lost'])).toEqual([]);
    expect(unsaid('state', ['open', 'labelled', 'skipped', 'flagged', 'excluded'])).toEqual([]);
    expect(unsaid('device', DEVICES)).toEqual([]);
    expect(unsaid('device_state', ['ready', 'failed', 'absent', 'probing'])).toEqual([]);
    const reasons = ['repeat-differs', 'annotators-differ', 'noise', 'third-opinion'];
    expect(unsaid('look', reasons)).toEqual([]);
    expect(unsaid('tray', ['far', 'blank', 'blurred', 'modality'])).toEqual([]);
    const measures = ['content', 'colour', 'aspect', 'surprise', 'sharpness', 'distance'];
    expect(unsaid('tray_measure', measures)).toEqual([]);
    expect(unsaid('version_state', ['live', 'promoted', 'held'])).toEqual([]);
  });
});

describe('The keyboard', () => {
  const shift = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ?+{}';
  /** Types keys as a browser would report them, `gapMs` apart, and gives what happened. */
  function type(keys: string[], gapMs = 50, scope: Scope = 'label', busy = false): string[] {
    const done: string[] = [];
    const press = keyboard({
      scope: () => scope,
      busy: () => busy,
      run: (id) => done.push(id),
      chooseClass: (index) => done.push(`class ${index}`),
    });
    keys.forEach((key, i) =>
      press({
        key,
        code: /\d/.test(key) ? `Digit${key}` : key === ' ' ? 'Space' : `Key${key.toUpperCase()}`,
        timeStamp: i * gapMs,
        target: null,
        getModifierState: (name: string) => name === 'Shift' && shift.includes(key),
        preventDefault: () => undefined,
      } as unknown as KeyboardEvent),
    );
    return done;
  }

  test('follows sequences however fast they come after each other', () => {
    expect(type(['g', 'e', 'g', 'v', 'g', 'd', 'g', 'l'])).toEqual([
      'go-evidence',
      'go-versions',
      'go-data',
      'go-label',
    ]);
    expect(type(['g', 'l', 'c'])).toEqual(['go-label', 'comment']);
  });

  test('forgets a sequence that was not finished within a second', () => {
    expect(type(['g', 'v'], 1200, 'versions')).toEqual([]);
    expect(type(['g', 'x', 'v'])).toEqual(['exclude', `class ${CLASS_KEYS.indexOf('v')}`]);
  });

  test('tells upper from lower case, signs from digits, and views from each other', () => {
    expect(type(['u', 'R', '?', '+', '1', '0', ' '])).toEqual([
      'undo',
      'redo',
      'help',
      'zoom-in',
      'class 0',
      'class 9',
      'skip',
    ]);
    expect(type(['p', 'B', '1'], 50, 'versions')).toEqual(['promote', 'rollback']);
    expect(type(['1', 'u'], 50, 'label', true)).toEqual([]);
  });

  test('chooses classes wherever an item is decided, in the tray with digits only', () => {
    const r = CLASS_KEYS.indexOf('r');
    expect(type(['2', 'r', 'u', 'w'], 50, 'looks')).toEqual(['class 1', `class ${r}`, 'take-back']);
    expect(type(['2', 'r', 'x', 'u'], 50, 'tray')).toEqual(['class 1', 'tray-release', 'tray-exclude', 'take-back']);
    expect(type(['2', 'r'], 50, 'everywhere')).toEqual([]);
    expect(type(['w'])).toEqual(['why']);
  });
});
