/** Review's own rules, without a browser: when a break is suggested, and how doubts are put into words. */
import { describe, expect, test } from 'vitest';
import type { QueueEntry } from '../../main/api.ts';
import type { SecondLookData } from '../../main/api-looks.ts';
import { lookSentence, trayNumbers, withInterval } from '../../renderer/looks-words.ts';
import { BreakReminder } from '../../renderer/state/break-reminder.ts';
import { reason } from '../../renderer/words.ts';

const MINUTE = 60_000;

describe('A break', () => {
  test('is suggested once, and not again within three quarters of an hour', () => {
    const reminder = new BreakReminder();
    expect(reminder.measured(false, 0)).toBe(false);
    expect(reminder.measured(true, 10 * MINUTE)).toBe(true);
    expect(reminder.measured(true, 12 * MINUTE), 'it stays until it is waved away').toBe(true);
    reminder.dismiss();
    expect(reminder.measured(true, 14 * MINUTE)).toBe(false);
    expect(reminder.measured(true, 54 * MINUTE)).toBe(false);
    expect(reminder.measured(true, 55 * MINUTE)).toBe(true);
  });

  test('is no longer suggested when the pace is as usual again, nor soon after the page was opened anew', () => {
    const reminder = new BreakReminder();
    reminder.measured(true, 0);
    expect(reminder.measured(false, MINUTE)).toBe(false);
    const opened = new BreakReminder(reminder.saidAt);
    expect(opened.measured(true, 20 * MINUTE)).toBe(false);
    expect(opened.measured(true, 45 * MINUTE)).toBe(true);
  });
});

describe('A doubt about a label', () => {
  const reading = (annotator: string, label: string) => ({ annotator, classes: [label], at: 0 });
  const look = (reason: SecondLookData['reason'], readings: SecondLookData['readings']) =>
    lookSentence({
      reason,
      readings,
      suggested: { classes: ['rash'], probability: 0.914 },
      fused: { classes: ['cough'], probability: 0.7 },
    } as SecondLookData);

  test('is one sentence with who, what and how likely', () => {
    expect(look('repeat-differs', [reading('Ana', 'fever'), reading('Ana', 'rash')])).toBe(
      'Ana answered “rash” when it came back; the label in force is “fever”.',
    );
    expect(look('annotators-differ', [reading('Ana', 'fever'), reading('Ana', 'fever'), reading('Bo', 'rash')])).toBe(
      'Ana says “fever”, Bo says “rash”.',
    );
    expect(look('noise', [reading('Ana', 'fever')])).toContain('“rash” likeliest (91%), not “fever”');
    expect(look('third-opinion', [reading('Ana', 'fever')])).toContain('“cough” is likelier (70%) than “fever”');
  });

  test('still names itself where its numbers are missing', () => {
    const bare = { reason: 'noise', readings: [], suggested: null, fused: null } as unknown as SecondLookData;
    expect(lookSentence(bare)).toBe('A model that has not seen this label finds it unlikely.');
    expect(lookSentence({ ...bare, reason: 'third-opinion' })).toBe('third opinion');
  });
});

test('What is asked blind is not to be told apart: audit items, second readings and spot checks read the same', () => {
  const asked = (why: QueueEntry['why']) => ({ why }) as QueueEntry;
  const audit = reason(asked({ code: 'audit' }), true);
  expect(audit.title).toBe('Drawn at random, to measure the model.');
  expect(reason(asked({ code: 'spot-check', look: 3 }), true)).toEqual(audit);
  expect(reason(asked({ code: 'spot-check', look: 3 }), false), 'once it has its label').not.toEqual(audit);
});

test('Measured values are short, and never NaN', () => {
  const view = {} as never;
  expect(
    trayNumbers({ view, reason: 'far', measure: 'distance', score: 3.2149, usual: { low: 0.4213, high: 1840.7 } }),
  ).toBe('3.2, usually 0.42 to 1,841');
  expect(withInterval({ n: 0, value: null, low: 0, high: 1 })).toBe('–');
  expect(withInterval({ n: 9, value: 0.8149, low: 0.66, high: 0.93 })).toBe('0.81 (0.66 to 0.93)');
});
