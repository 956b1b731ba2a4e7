/**
 * How fast the store is, beside raw SQLite on the same disk in the same run:
 * `node tests/bench/store.ts [items]`. Compare ratios, not times.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import Database from 'better-sqlite3';
import { itemIdOf, type Candidate, type Fingerprint } from '../../main/domain/item.ts';
import { createRng } from '../../main/domain/rng.ts';
import { createProject, type ImportBatch } from '../../main/store/index.ts';

const count = Number(process.argv[2] ?? 1_000_000);
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'marginalia-bench-'));
const rng = createRng(1);
const now = () => performance.now();
const tell = (what: string, value: string) => console.log(`${what.padEnd(52)} ${value}`);
const quantile = (sorted: number[], q: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))].toFixed(3);

/** Times `work` repeatedly: calls a second, median, p99 and longest in ms. */
function each(what: string, times: number, work: (i: number) => void): number {
  const took: number[] = [];
  for (let i = 0; i < times; i++) {
    const from = now();
    work(i);
    took.push(now() - from);
  }
  took.sort((a, b) => a - b);
  const rate = (1000 * times) / took.reduce((sum, ms) => sum + ms, 0);
  tell(
    what,
    `${Math.round(rate)}/s, median ${quantile(took, 0.5)}, p99 ${quantile(took, 0.99)}, max ${quantile(took, 1)} ms`,
  );
  return rate;
}

function candidates(from: number, n: number, fingerprint: () => Fingerprint | null): Candidate[] {
  return Array.from({ length: n }, (_, i) => {
    const text = `note ${from + i}: ${'finding unchanged since the last visit '.repeat(6)}`;
    const parts = [{ kind: 'text' as const, text, sha256: (from + i).toString(16).padStart(64, '0'), path: null }];
    const name = `row ${from + i}`;
    return {
      id: itemIdOf(parts, null),
      name,
      parts,
      group: null,
      label: ['a'],
      fingerprint: fingerprint(),
      source: `notes.csv:${from + i}`,
    };
  });
}

try {
  const store = createProject(dir, { name: 'bench', task: 'classify', classes: ['a', 'b'], seed: 1, clock: Date.now });
  const bulk = (
    what: string,
    from: number,
    n: number,
    options: Partial<ImportBatch>,
    fingerprint: () => Fingerprint | null = () => null,
  ) => {
    const job = store.jobs.enqueue('import', null).id;
    let ms = 0;
    let cpuMs = 0;
    let longest = 0;
    for (let at = 0; at < n; at += 1000) {
      const batch = candidates(from + at, 1000, fingerprint);
      const start = now();
      const cpu = process.cpuUsage();
      store.items.addCandidates(batch, { job, cursor: at, ...options });
      const took = now() - start;
      const { user, system } = process.cpuUsage(cpu);
      ms += took;
      cpuMs += (user + system) / 1000;
      longest = Math.max(longest, took);
    }
    tell(
      `import ${n} ${what}`,
      `${Math.round((1000 * n) / ms)} rows/s, ${Math.round((1000 * n) / cpuMs)} a CPU second, longest batch of 1,000 ${longest.toFixed(0)} ms`,
    );
  };
  const random = () => ({
    kind: 'text' as const,
    bands: Array.from({ length: 16 }, () => rng.int(2 ** 32) - 2 ** 31),
    code: '00'.repeat(128),
  });
  bulk('with oracle labels', 0, count, { labels: 'oracle' });
  bulk('with given labels', count, 20_000, { labels: 'given' });
  bulk('with 16 fingerprint bands', count + 20_000, 50_000, { isNearDuplicate: () => false }, random);
  tell('memory', `${Math.round(process.memoryUsage.rss() / 2 ** 20)} MB`);

  let from = now();
  const rows = store.items.poolRows();
  tell(`poolRows of ${rows.count}`, `${(now() - from).toFixed(0)} ms`);
  const head = rng.sample(count, 2000).map((i) => rows.id[i]);
  const entries = head.map((item, i) => ({
    item,
    score: 1 - i / 2000,
    strategy: 'margin',
    modelVersion: 1,
    seed: 1,
    why: { code: 'margin' },
  }));
  from = now();
  store.queue.replace(entries, { keepFirst: 8 });
  tell('replace 2,000 queue entries', `${(now() - from).toFixed(1)} ms`);
  each('next item', 2000, () => store.queue.next(1));
  each('next 20 items', 2000, () => store.queue.next(20));
  each('counts', 2000, () => store.counts());

  const raw = new Database(path.join(dir, 'raw.sqlite'));
  raw.pragma('journal_mode = WAL');
  raw.pragma('synchronous = FULL');
  raw.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, item TEXT, body TEXT); CREATE INDEX t_item ON t (item)');
  const insert = raw.prepare('INSERT INTO t (item, body) VALUES (?, ?)');
  const peer = each('raw SQLite FULL, one insert', 1500, (i) => insert.run(head[i], 'x'.repeat(300)));
  const ours = each('append a label', 1500, (i) =>
    store.annotations.append({ item: head[i], act: 'label', classes: ['a'], annotator: 'kim', durationMs: 800 }),
  );
  tell('append against raw', (ours / peer).toFixed(2));
  each('undo', 300, () => store.annotations.undo({ annotator: 'kim' }));
  raw.close();

  from = now();
  const { ok } = store.verify();
  tell('verify', `${ok ? 'ok' : 'NOT OK'}, ${((now() - from) / 1000).toFixed(1)} s`);
  store.close();
} finally {
  fs.rmSync(dir, { recursive: true, force: true });
}
