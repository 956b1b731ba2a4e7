/**
 * A project of a million short notes, made through the store's own importer, with a few
 * thousand decisions and a queue: what the opening of a large project is measured on. It
 * is made once and kept under the system's temporary folder.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { itemIdOf, type Candidate } from '../../main/domain/item.ts';
import { createRng } from '../../main/domain/rng.ts';
import { createProject } from '../../main/store/index.ts';

const BATCH = 2000;
const LABELS = 5000;
const CLASSES = ['rest', 'fracture', 'effusion'];

function note(i: number): Candidate {
  const text = `note ${i}: ${'finding unchanged since the last visit '.repeat(4)}`;
  const parts = [{ kind: 'text' as const, text, sha256: i.toString(16).padStart(64, '0'), path: null }];
  return {
    id: itemIdOf(parts, null),
    name: `row ${i}`,
    parts,
    group: i % 4 === 0 ? `patient ${i >> 3}` : null,
    label: null,
    fingerprint: null,
    source: `notes.csv:${i}`,
  };
}

/** The project's folder; made where it is not there yet, which takes a minute or two. */
export function millionProject(count = 1_000_000, folder = os.tmpdir()): string {
  const dir = path.join(folder, `marginalia-million-${count}`);
  if (fs.existsSync(path.join(dir, 'whole'))) return dir;
  fs.rmSync(dir, { recursive: true, force: true });
  fs.mkdirSync(dir);
  let now = 1_700_000_000_000;
  const store = createProject(dir, {
    name: 'million',
    task: 'classify',
    classes: CLASSES,
    seed: 1,
    clock: () => now++,
  });
  const job = store.jobs.enqueue('import', null).id;
  store.jobs.start(job);
  for (let at = 0; at < count; at += BATCH)
    store.items.addCandidates(
      Array.from({ length: Math.min(BATCH, count - at) }, (_, i) => note(at + i)),
      { job, cursor: at },
    );
  store.jobs.finish(job, {});
  const rng = createRng(1);
  const decided = new Set<number>();
  while (decided.size < Math.min(LABELS, count / 4)) decided.add(rng.int(count));
  for (const i of decided)
    store.annotations.append({
      item: note(i).id,
      act: 'label',
      classes: [CLASSES[rng.int(CLASSES.length)]],
      annotator: 'kim',
      durationMs: 900,
    });
  const queue = Array.from({ length: 300 }, (_, i) => ({
    item: note(i * 7).id,
    score: 1 - i / 1000,
    strategy: 'random',
    modelVersion: null,
    seed: 1,
    why: { code: 'random', distribution: null },
  }));
  store.queue.replace(queue, { keepFirst: 0 });
  store.close();
  fs.writeFileSync(path.join(dir, 'whole'), '');
  return dir;
}

if (import.meta.main) console.log(millionProject(Number(process.argv[2] ?? 1_000_000)));
