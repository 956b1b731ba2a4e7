/** Numbers and foreign words as they are shown: fixed places, a space before the unit, and nothing that turns what follows. */
import { describe, expect, test } from 'vitest';
import { decimal, measurement, percent, plain, probability, seconds } from '../../renderer/format.ts';

describe('Numbers', () => {
  test('beside each other have the same number of decimals', () => {
    expect([0.9, 0.25, -0.0912, 1].map((x) => decimal(x))).toEqual(['0.90', '0.25', '-0.09', '1.00']);
    expect(decimal(0.1, 3)).toBe('0.100');
    expect(decimal(null)).toBe('–');
    expect(measurement(36.5)).toBe('36.5');
  });

  test('never claim a certainty that is not there', () => {
    expect([0, 0.004, 0.5, 0.996, 1].map(probability)).toEqual(['0%', '<1%', '50%', '>99%', '100%']);
    expect(percent(null)).toBe('–');
  });

  test('of seconds have a space before the unit, and become minutes after the sixtieth', () => {
    const typed = (ms: number) => seconds(ms).replaceAll('\u00A0', ' ');
    expect([380, 12_340, 59_400, 59_600, 125_000].map(typed)).toEqual([
      '0.4 s',
      '12.3 s',
      '59.4 s',
      '1 min 0 s',
      '2 min 5 s',
    ]);
  });
});

describe('Words from outside', () => {
  test('show what would turn them around, and keep their line breaks', () => {
    expect(plain('report\u202Egpj.exe')).toBe('report[U+202E]gpj.exe');
    expect(plain('a\u2066b\u2069\u200F\u061C')).toBe('a[U+2066]b[U+2069][U+200F][U+061C]');
    expect(plain('one\r\n\ttwo\u0000')).toBe('one\n\ttwo[U+0000]');
  });

  test('of any script are left as they are', () => {
    for (const text of ['<img src=x onerror=alert(1)>', '左肺下叶', 'تقرير', 'é\u0301', '👩🏽‍⚕️'])
      expect(plain(text)).toBe(text);
  });
});
