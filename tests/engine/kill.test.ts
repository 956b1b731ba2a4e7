/**
 * SIGKILL to the host process in the middle of labelling, importing and training, again
 * and again on one project. An annotation counts as acknowledged when its answer has come
 * back over the WebSocket; after every kill the project must open, and hold each of them.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRng } from '../../main/domain/rng.ts';
import { openReader } from '../../main/store/index.ts';
import { generateSample } from '../../resources/sample-project/generate.ts';
import { runJson, serveDesk } from '../served-desk.ts';

const KILLS = 50;
const work = mkdtempSync(join(tmpdir(), 'marginalia-kill-'));
const project = join(work, 'project');

interface Acknowledged {
  sequence: number;
  item: string;
  classes: string[] | null;
}

beforeAll(async () => {
  const first = await generateSample(join(work, 'first'), { seed: 1, cells: 60, notes: 0 });
  await generateSample(join(work, 'second'), { seed: 2, cells: 60, notes: 0 });
  await runJson('new', project, '--classes', first.cellClasses.join(','));
  const { json } = await runJson<{ added: number }>(
    'import',
    project,
    first.cellsTable,
    '--image',
    'image',
    '--id',
    'id',
    '--group',
    'slide',
  );
  expect(json.added).toBe(60);
  await runJson('queue', project, '--count', '5');
}, 120_000);

afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('A host that is killed', () => {
  test(
    `${KILLS} times while it labels, imports and trains has lost nothing it acknowledged`,
    { timeout: 600_000 },
    async () => {
      const rng = createRng(7);
      const acknowledged: Acknowledged[] = [];
      const seen = { importing: 0, training: 0 };
      for (let kill = 0; kill < KILLS; kill++) {
        const desk = await serveDesk(project);
        const { client, close } = await desk.connect();
        const { classes, items } = await client.status();
        const { items: some } = await client.items.list({ limit: 200 });
        let isDead = false;
        // Each round brings pictures the project does not know yet, so that the import has something to do.
        if (kill % 3 === 1) {
          const more = join(work, `more-${kill}`);
          cpSync(join(work, 'second'), more, { recursive: true });
          void client.imports.start({ sources: [more] }).catch(() => undefined);
        }
        if (kill % 3 === 2) void client.training.start().catch(() => undefined);
        const labelling = (async () => {
          for (let i = 0; !isDead; i++) {
            const { id } = some[rng.int(some.length)];
            const answer = await client.annotations
              .add({
                item: id,
                act: 'label',
                classes: [classes[rng.int(classes.length)]],
                annotator: 'test',
                durationMs: 10,
              })
              .catch(() => null);
            if (answer === null) return;
            acknowledged.push({ sequence: answer.sequence, item: answer.item, classes: answer.classes });
            if (i % 7 === 6) {
              const undone = await client.annotations.undo({ annotator: 'test' }).catch(() => null);
              if (undone === null) return;
              acknowledged.push({ sequence: undone.sequence, item: undone.item, classes: undone.classes });
            }
          }
        })();
        await new Promise((resolve) => setTimeout(resolve, 30 + rng.int(400)));
        const jobs = (await client.status().catch(() => null))?.jobs ?? [];
        if (jobs.some((job) => job.kind === 'import')) seen.importing++;
        if (jobs.some((job) => job.kind === 'train')) seen.training++;
        await desk.kill();
        isDead = true;
        close();
        await labelling;

        const reader = openReader(project);
        try {
          expect(reader.counts().items).toBeGreaterThanOrEqual(items);
          for (const { sequence, item, classes: given } of acknowledged) {
            const kept = reader.annotations.get(sequence);
            if (kept?.item !== item || JSON.stringify(kept.classes) !== JSON.stringify(given)) {
              expect.fail(`after kill ${kill}: annotation ${sequence} was acknowledged and is ${JSON.stringify(kept)}`);
            }
          }
          if (kill % 10 === 9) expect(reader.verify()).toMatchObject({ ok: true, problems: [] });
        } finally {
          reader.close();
        }
      }
      expect(acknowledged.length).toBeGreaterThan(KILLS);
      expect(seen.importing).toBeGreaterThan(0);
      expect(seen.training).toBeGreaterThan(0);
      const { json } = await runJson<{ ok: boolean; problems: unknown[] }>('verify', project);
      expect(json).toMatchObject({ ok: true, problems: [] });
    },
  );
});
