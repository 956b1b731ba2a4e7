/**
 * `npm run bench -- acquisition-speed`: how long choosing takes on large pools, how long it
 * keeps the event loop waiting, how soon it stops when cancelled, and what it needs in
 * memory; each beside a straightforward NumPy version on the same numbers where Debian's
 * python3-numpy is there. The two take turns, and the best of several counts, because a
 * shared machine's speed drifts. A turn of the loop is given in wall time and in processor
 * time of this thread: what others take of the machine is in the first alone.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { select, type SelectionInput, type StrategyName } from '../../main/acquisition/index.ts';
import { matrix, type Matrix } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';
import { products } from '../../main/training/index.ts';

const PYTHON = '/usr/bin/python3';
/** Short things are measured more often. */
const rounds = (limit: Case['limit']) => (limit === 'numpy' ? 25 : 4);
const PICKS = 100;
const rng = createRng(1);
const folder = mkdtempSync(join(tmpdir(), 'acquisition-speed-'));

/** What a person would write with NumPy, float32 throughout; `x` and `p` are the same numbers as here. */
const NUMPY = `
import sys, time, numpy as np
what, n, d, c, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
p = np.fromfile(folder + '/p.f32', np.float32).reshape(n, c) if c else None
x = np.fromfile(folder + '/x.f32', np.float32).reshape(n, d) if d else None
k = ${PICKS}
def top(score):
    best = np.argpartition(-score, k)[:k]
    return best[np.argsort(-score[best], kind='stable')]
def entropy():
    return top(-(p * np.log(p)).sum(1))
def margin():
    two = np.partition(p, -2, axis=1)
    return top(two[:, -2] - two[:, -1])
def k_center():
    norms = (x * x).sum(1)
    chosen = [int(np.argmin(norms - 2 * x @ x.mean(0)))]
    nearest = np.full(n, np.inf, np.float32)
    while len(chosen) < k:
        z = chosen[-1]
        nearest = np.minimum(nearest, norms + norms[z] - 2 * x @ x[z])
        chosen.append(int(np.argmax(nearest)))
    return np.array(chosen)
def badge():
    rng = np.random.default_rng(1)
    a = p.copy()
    a[np.arange(n), p.argmax(1)] -= 1
    norms = (a * a).sum(1) * (x * x).sum(1)
    chosen = [int(np.argmax(norms))]
    nearest = np.full(n, np.inf)
    while len(chosen) < k:
        z = chosen[-1]
        nearest = np.minimum(nearest, np.maximum(0, norms + norms[z] - 2 * (a @ a[z]) * (x @ x[z])))
        chosen.append(int(rng.choice(n, p=nearest / nearest.sum())))
    return np.array(chosen)
def typicality():
    rng = np.random.default_rng(1)
    s = x[rng.choice(n, min(n, 20000), replace=False)]
    centres = s[rng.choice(len(s), k, replace=False)]
    def nearest(rows):
        return ((rows * rows).sum(1)[:, None] + (centres * centres).sum(1) - 2 * rows @ centres.T).argmin(1)
    for _ in range(15):
        own = nearest(s)
        centres = np.stack([s[own == j].mean(0) if (own == j).any() else centres[j] for j in range(k)])
    own = nearest(x)
    picks = []
    for j in range(k):
        members = np.flatnonzero(own == j)[:800]
        if len(members) < 2: continue
        m = x[members]
        squared = np.maximum(0, (m * m).sum(1)[:, None] + (m * m).sum(1) - 2 * m @ m.T)
        some = min(21, len(members)) - 1
        picks.append(members[np.argmin(np.sqrt(np.partition(squared, some, axis=1)[:, :some + 1]).sum(1))])
    return np.array(picks)
for _ in sys.stdin:
    t = time.perf_counter()
    picks = locals()[what]()
    print(f'{(time.perf_counter() - t) * 1000:.3f}', *picks, flush=True)
`;

interface Peer {
  run(): Promise<{ ms: number; picks: number[] }>;
  end(): void;
}

const hasNumpy = spawnSync(PYTHON, ['-c', 'import numpy']).status === 0;
if (!hasNumpy) console.log('NumPy is not there: times stand alone.');

/** A Python process that runs one thing each time it is asked. */
function peer(what: string, n: number, d: number, c: number): Peer | null {
  if (!hasNumpy) return null;
  const child = spawn(PYTHON, ['-c', NUMPY, what, `${n}`, `${d}`, `${c}`, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    async run() {
      child.stdin.write('\n');
      const [ms, ...picks] = ((await lines.next()).value as string).split(' ').map(Number);
      return { ms, picks };
    },
    end: () => child.stdin.end(),
  };
}

/** Runs `work`, watching the turns of the event loop and the memory. */
async function watched<T>(work: () => Promise<T>) {
  const turn = { wall: 0, processor: 0 };
  let isOn = true;
  let memory = 0;
  const resting = process.memoryUsage.rss();
  let at = performance.now();
  let spent = process.threadCpuUsage();
  const tick = () => {
    turn.wall = Math.max(turn.wall, performance.now() - at);
    const own = process.threadCpuUsage(spent);
    turn.processor = Math.max(turn.processor, (own.user + own.system) / 1000);
    memory = Math.max(memory, process.memoryUsage.rss() - resting);
    at = performance.now();
    spent = process.threadCpuUsage();
    if (isOn) setImmediate(tick);
  };
  setImmediate(tick);
  await new Promise((resolve) => setImmediate(resolve));
  const began = performance.now();
  const result = await work();
  const ms = performance.now() - began;
  isOn = false;
  tick();
  return { ms, turn, memory, result };
}

interface Case {
  name: StrategyName;
  what: string;
  input: SelectionInput;
  /** What it may take: so many seconds, or no longer than NumPy. */
  limit: number | 'numpy';
  peer: Peer | null;
  /** Whether the picks must be NumPy's. */
  isSame?: boolean;
}

async function measure({ name, what, input, limit, peer: numpy, isSame }: Case): Promise<void> {
  let best = Infinity;
  let bestOther = Infinity;
  let turn = { wall: Infinity, processor: Infinity };
  let memory = 0;
  let same = 1;
  for (let round = 0; round < rounds(limit); round++) {
    const one = await watched(() => select(name, input));
    best = Math.min(best, one.ms);
    memory = Math.max(memory, one.memory);
    turn = { wall: Math.min(turn.wall, one.turn.wall), processor: Math.min(turn.processor, one.turn.processor) };
    const other = await numpy?.run();
    if (!other) continue;
    bestOther = Math.min(bestOther, other.ms);
    const theirs = new Set(other.picks);
    same = Math.min(same, one.result.filter(({ index }) => theirs.has(index)).length / PICKS);
  }
  numpy?.end();
  const cancelled = await timeToCancel(name, input, best / 2);
  const ratio = best / bestOther;
  const missed = [
    ...(limit === 'numpy'
      ? numpy && ratio > 1
        ? ['slower than NumPy']
        : []
      : best > limit * 1000
        ? ['too slow']
        : []),
    ...(isSame && numpy && same < 0.99 ? ['other picks than NumPy'] : []),
    ...(turn.processor > 50 ? ['holds the loop'] : []),
    ...(cancelled > 100 ? ['slow to cancel'] : []),
  ];
  console.log(
    [
      `${what}: ${Math.round(best)} ms`,
      limit === 'numpy' ? '' : `of ${limit} s allowed`,
      numpy ? `NumPy ${Math.round(bestOther)} ms, ratio ${ratio.toFixed(2)}` : '',
      isSame && numpy ? `${Math.round(100 * same)} % the same picks` : '',
      `longest turn ${Math.round(turn.wall)} ms (${Math.round(turn.processor)} ms of processor time)`,
      `cancelled after ${Math.round(cancelled)} ms`,
      `${Math.round(memory / 1e6)} MB above the pool`,
      missed.length > 0 ? `MISSED: ${missed.join(', ')}` : 'kept',
    ]
      .filter((part) => part !== '')
      .join('; '),
  );
  if (missed.length > 0) process.exitCode = 1;
}

/** From the moment in the middle of the work when somebody cancels, heard at the next turn of the loop, to the rejection. */
async function timeToCancel(name: StrategyName, input: SelectionInput, afterMs: number): Promise<number> {
  const cancel = new AbortController();
  const at = performance.now() + afterMs;
  const watch = () => {
    if (performance.now() < at) setImmediate(watch);
    else cancel.abort('bench');
  };
  setImmediate(watch);
  const outcome = await select(name, { ...input, signal: cancel.signal }).catch((reason: unknown) => reason);
  return outcome === 'bench' ? performance.now() - at : 0;
}

function probabilitiesOf(n: number, c: number): Matrix {
  const p = matrix(n, c);
  for (let i = 0; i < n; i++) {
    let sum = 0;
    for (let j = i * c; j < (i + 1) * c; j++) sum += p.data[j] = Math.exp(4 * rng.next());
    for (let j = i * c; j < (i + 1) * c; j++) p.data[j] /= sum;
  }
  return p;
}

/** Normal rows around so many centres. */
function clouds(n: number, d: number, centres: number, spread: number): Matrix {
  const middle = Float32Array.from({ length: centres * d }, () => rng.normal());
  const x = matrix(n, d);
  for (let i = 0; i < n; i++) {
    const own = rng.int(centres) * d;
    for (let j = 0; j < d; j++) x.data[i * d + j] = middle[own + j] + spread * rng.normal();
  }
  return x;
}

const bytes = (m: Matrix) => new Uint8Array(m.data.buffer);
const candidates = (n: number) => Int32Array.from({ length: n }, (_, i) => i);

try {
  const million = probabilitiesOf(1_000_000, 10);
  writeFileSync(join(folder, 'p.f32'), bytes(million));
  for (const name of ['entropy', 'margin'] as const) {
    await measure({
      name,
      what: `${name}, top ${PICKS} of 1,000,000 × 10`,
      input: { candidates: candidates(1_000_000), labelled: [], batch: PICKS, seed: 1, probabilities: million },
      limit: 'numpy',
      peer: peer(name, 1_000_000, 0, 10),
      isSame: true,
    });
  }

  const probabilities = probabilitiesOf(100_000, 10);
  writeFileSync(join(folder, 'p.f32'), bytes(probabilities));
  for (const [shape, centres, spread] of [
    ['one cloud', 1, 1],
    ['100 tight clouds', 100, 0.05],
  ] as const) {
    const reduced = clouds(100_000, 512, centres, spread);
    writeFileSync(join(folder, 'x.f32'), bytes(reduced));
    const input = {
      candidates: candidates(100_000),
      labelled: [],
      batch: PICKS,
      seed: 1,
      probabilities,
      reduced,
      products,
    };
    for (const [name, limit, same] of [
      ['k-center', 3, true],
      ['badge', 4, false],
      ['typicality', 10, false],
    ] as const) {
      const what = `${name}, ${PICKS} of 100,000 × 512, ${shape}`;
      const numpy = peer(name.replace('-', '_'), 100_000, 512, 10);
      await measure({ name, what, input, limit, peer: numpy, isSame: same });
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
