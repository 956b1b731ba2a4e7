/** The runner's last line: what the two test runners report is added up, and nothing that failed is lost. */
import { expect, test } from 'vitest';
import { countPlaywright, countVitest, summary } from '../counts.ts';

test('Vitest’s report is counted, and a file that could not be loaded or prepared is a failure', () => {
  const report = {
    numPassedTests: 5,
    numFailedTests: 1,
    numPendingTests: 2,
    numTodoTests: 0,
    testResults: [
      { status: 'passed', assertionResults: [{ status: 'passed' }] },
      { status: 'failed', assertionResults: [{ status: 'failed' }, { status: 'passed' }] },
      { status: 'failed', assertionResults: [] },
      { status: 'failed', assertionResults: [{ status: 'skipped' }] },
    ],
  };
  expect(countVitest(JSON.stringify(report))).toEqual({ passed: 5, failed: 3, skipped: 2 });
});

test('Playwright’s report is counted, and a test that passed only when repeated is a failure', () => {
  const stats = { expected: 3, unexpected: 1, flaky: 1, skipped: 4 };
  expect(countPlaywright(JSON.stringify({ stats, errors: [] }))).toEqual({ passed: 3, failed: 2, skipped: 4 });
  const none = { stats: { expected: 0, unexpected: 0, flaky: 0, skipped: 0 }, errors: [{ message: 'no tests found' }] };
  expect(countPlaywright(JSON.stringify(none))).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test('The last line counts, and mentions skipped tests only when there are any', () => {
  expect(summary({ passed: 12, failed: 0, skipped: 0 })).toBe('12 passed, 0 failed');
  expect(summary({ passed: 12, failed: 1, skipped: 3 })).toBe('12 passed, 1 failed, 3 skipped');
});
