/** What of an error may stand in a log: where and what, and nothing that it quotes. */
import { expect, test } from 'vitest';
import { loggable } from '../../main/domain/errors.ts';

const SECRET = 'Mueller 4711';

function thrown(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

test.each([
  ['text that is no JSON', () => JSON.parse(`{"name": ${SECRET}`) as unknown, /^SyntaxError: .*…\n {4}at /],
  [
    'text with quotes of all kinds',
    () => new Error(`Expected an item, got "a ' ${SECRET} " \` ${SECRET}`),
    /^Error: Expected an item, got …\n/,
  ],
  [
    'a message of several lines',
    () => new Error(`Broken\n    at ${SECRET}\n${SECRET} (x:1:1)`),
    /^Error: Broken…\n {4}at /,
  ],
  [
    'a path',
    () => new Error(`ENOENT: no such file, open '/data/${SECRET}.png'`),
    /^Error: ENOENT: no such file, open …\n/,
  ],
  ['what is no error', () => SECRET, /^A string was thrown\.$/],
])('A log does not repeat %s', (_what, work, expected) => {
  const text = loggable(thrown(work));
  expect(text).toMatch(expected);
  expect(text).not.toContain('Mueller');
});
