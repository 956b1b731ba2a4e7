/**
 * The power fails: a real process is put through everything that has to last while its
 * system calls are recorded, the disk is rebuilt as it may be at random moments, and each
 * rebuilt folder is opened by the real store. What was acknowledged before that moment is
 * there, nothing is half there, and the project goes on. That the check can fail is shown
 * by the same process with a driver that does not wait for the disk.
 */
import { describe, expect, it } from 'vitest';
import { losePower } from './power-loss.ts';
import { straceLack } from './strace.ts';

const lack = straceLack();

describe.skipIf(lack !== '')(`A project whose power fails${lack}`, () => {
  it('has lost nothing that was acknowledged, at 2,000 moments', { timeout: 600_000 }, () => {
    const outcome = losePower({ seed: 1, sessions: 5, steps: 30, images: 2000 });
    expect(outcome.wrong.slice(0, 10)).toEqual([]);
    expect(outcome.images).toBe(2000);
    expect(outcome.acknowledged).toBeGreaterThan(150);
  });

  it('has lost what a driver that does not wait for the disk (NORMAL) acknowledged', { timeout: 300_000 }, () => {
    const outcome = losePower({ seed: 1, sessions: 3, steps: 40, images: 150, planted: 'NORMAL' });
    expect(outcome.lost).toBeGreaterThan(50);
  });

  it('is damaged by a driver that never waits (OFF)', { timeout: 300_000 }, () => {
    const outcome = losePower({ seed: 1, sessions: 4, steps: 20, images: 300, planted: 'OFF' });
    expect(outcome.damaged).toBeGreaterThan(0);
  });
});
