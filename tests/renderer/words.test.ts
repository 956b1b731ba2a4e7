/** The key table and the codes that become words: nothing twice, nothing unsaid. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ACTS } from '../../main/domain/annotation.ts';
import { ERROR_CODES } from '../../main/domain/errors.ts';
import { caps, CLASS_KEYS, SHORTCUTS } from '../../renderer/shortcuts.ts';
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
    for (const scope of ['label', 'versions', 'data'] as const) {
      const active = SHORTCUTS.filter((entry) => entry.scope === scope || entry.scope === 'everywhere');
      const keys = active.flatMap((entry) => entry.keys as readonly string[]);
      const own = scope === 'label' ? [...keys, ...CLASS_KEYS.filter((k) => k !== '0')] : keys;
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
    expect(unsaid('job', ['import', 'encode', 'train', 'queue', 'simulate'])).toEqual([]);
    expect(unsaid('stage', ['reading', 'fitting', 'embedding', 'training', 'choosing', 'simulating'])).toEqual([]);
    expect(unsaid('state', ['open', 'labelled', 'skipped', 'flagged', 'excluded'])).toEqual([]);
    expect(unsaid('version_state', ['live', 'promoted', 'held'])).toEqual([]);
  });
});
