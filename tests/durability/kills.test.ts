/**
 * SIGKILL to the engine's own process, at random moments within 60 ms of its answers over
 * the desktop's channel. With fifty of the web host (tests/engine/kill.test.ts) and fifty of
 * the store alone (tests/store/killing.test.ts) these are three hundred; `npm run soak` has
 * 5,000 more.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { killOften } from './kills.ts';

describe('An engine that is killed', () => {
  it('200 times has lost nothing it acknowledged, and left nothing half done', { timeout: 600_000 }, async () => {
    const outcome = await killOften({ seed: 3, kills: 200, under: tmpdir() });
    expect(outcome.wrong).toEqual([]);
    expect(outcome.kills).toBe(200);
    expect(outcome.acknowledged).toBeGreaterThan(1000);
    // Else every kill fell between two acts, and showed nothing.
    expect(outcome.unheard).toBeGreaterThan(0);
  });

  it('is found out when it acknowledges before it commits', { timeout: 300_000 }, async () => {
    const planted = join(import.meta.dirname, 'hasty.child.ts');
    const outcome = await killOften({ seed: 4, kills: 8, under: tmpdir(), planted });
    expect(outcome.wrong.filter((line) => line.includes('lost')).length).toBeGreaterThan(0);
  });
});
