/**
 * Exported labels read back by another reader: csv-parse for CSV, JSON.parse for JSONL.
 * Every writer of the table is walked.
 */
import { parse } from 'csv-parse/sync';
import { describe, expect, test } from 'vitest';
import type { ItemId } from '../../main/domain/item.ts';
import { csvCell, WRITERS, type ExportRow } from '../../main/export/index.ts';

const row = (over: Partial<ExportRow>): ExportRow => ({
  item: '0123456789abcdef' as ItemId,
  name: 'a/b.png',
  group: null,
  source: '/data/a/b.png',
  sha256: ['aa', 'bb'],
  classes: ['no finding'],
  annotator: 'Dr. Ä, "x"',
  at: Date.UTC(2026, 0, 2, 3, 4, 5),
  durationMs: 1234.5,
  annotation: 7,
  hash: 'ff',
  schemaVersion: 1,
  role: 'pool',
  suggested: { classes: ['a', 'b'], probability: 0.25, modelVersion: 3, visible: true },
  ...over,
});

const rows = [
  row({}),
  row({ name: 'line\nbreak, and "quotes"', group: '肺', suggested: null }),
  row({ name: '=1+1', annotator: '@SUM(A1)', group: '-2' }),
];

describe.each(Object.keys(WRITERS))('The format %s', (format) => {
  test('of no labels is a valid file', () => {
    const text = [...WRITERS[format].write([])].join('');
    expect(text.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(1);
  });

  test('holds every label once, with its class and annotator', () => {
    const text = [...WRITERS[format].write(rows)].join('');
    const read =
      format === 'csv'
        ? (parse(text, { columns: true }) as Record<string, string>[])
        : text
            .trimEnd()
            .split('\n')
            .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(read).toHaveLength(3);
    expect(read[0].annotator).toBe('Dr. Ä, "x"');
    expect(read[1].name).toBe('line\nbreak, and "quotes"');
    expect(read[1].group).toBe('肺');
    expect(read[0].at).toBe('2026-01-02T03:04:05.000Z');
  });
});

describe('A cell of a CSV', () => {
  test.each([
    ['=1+1', "'=1+1"],
    ['+49 30', "'+49 30"],
    ['-1.5', "'-1.5"],
    ['@cmd', "'@cmd"],
    ['\tx', "'\tx"],
    ['＝1', "'＝1"],
    ['plain', 'plain'],
    ['a,b', '"a,b"'],
    ['', ''],
  ])('of text %j is %j: never a formula', (text, cell) => expect(csvCell(text)).toBe(cell));

  test('of a number stays a number, also a negative one', () => {
    expect(csvCell(-1.5)).toBe('-1.5');
    expect(csvCell(null)).toBe('');
  });
});
