/**
 * `npm run bench -- acquisition`: every query strategy on every data set there is, by the
 * program's own simulation: import, its own encoder, one curve per strategy and seed. Writes
 * docs/benchmarks/acquisition.md with one plot a data set. Handed data is left out where it
 * is absent. `--quick` takes few strategies, one seed and few labels, and writes nothing;
 * `--only=NAME,NAME` measures some data sets and leaves the page's other parts as they are.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { createSampleProject } from '../../hosts/sample.ts';
import { STRATEGIES } from '../../main/acquisition/index.ts';
import type { ImportOptionsData } from '../../main/api.ts';
import { createRng } from '../../main/domain/rng.ts';
import { EngineError } from '../../main/domain/errors.ts';
import { Project } from '../../main/project.ts';
import type { Curve } from '../../main/training/index.ts';
import { curvesPlot } from './curves-plot.ts';

const QUICK = process.argv.includes('--quick');
const ONLY = process.argv
  .find((word) => word.startsWith('--only='))
  ?.slice('--only='.length)
  .split(',');
const DATA = fileURLToPath(new URL('../../../shared/data/', import.meta.url));
const OUT = fileURLToPath(new URL('../../docs/benchmarks/', import.meta.url));
const DIGITS = fileURLToPath(new URL('digits/', import.meta.resolve('mnist')));
const WORK = mkdtempSync(join(tmpdir(), 'marginalia-bench-'));
/** Far more than any pool: the first round takes everything. */
const EVERYTHING = 1_000_000;

interface DataSet {
  name: string;
  title: string;
  /** Labels at the end, per round and at the beginning. */
  budget: number;
  batch: number;
  start: number;
  seeds: number;
  /** Makes a project with an oracle; null where the material is absent. */
  make(dir: string): Promise<void> | null;
}

const silent = () => undefined;

async function imported(dir: string, classes: string[], options: Omit<ImportOptionsData, 'labels'>): Promise<void> {
  const project = await Project.create(dir, { name: 'bench', classes, seed: 1 }, { resume: false });
  const job = await project.startImport({ ...options, labels: 'oracle' }).finished;
  await project.close();
  if (job.error) throw EngineError.from(job.error);
}

/** 200 of each digit that the package holds, as 28 × 28 PNG files in a folder per digit. */
async function mnist(dir: string): Promise<void> {
  const names = Array.from({ length: 10 }, (_, digit) => String(digit));
  const rng = createRng(1);
  for (const name of names) {
    const { data } = JSON.parse(readFileSync(join(DIGITS, `${name}.json`), 'utf8')) as { data: number[] };
    const folder = join(dir, 'digits', name);
    mkdirSync(folder, { recursive: true });
    for (const i of rng.sample(data.length / 784, QUICK ? 60 : 200)) {
      const pixels = Uint8Array.from(data.slice(784 * i, 784 * (i + 1)), (ink) => Math.round(255 * ink));
      await sharp(pixels, { raw: { width: 28, height: 28, channels: 1 } })
        .png()
        .toFile(join(folder, `${i}.png`));
    }
  }
  await imported(join(dir, 'project'), names, { sources: [join(dir, 'digits')], mapping: {}, labelsFromFolders: true });
}

function medquad(dir: string): Promise<void> | null {
  const file = join(DATA, 'medquad/answers.jsonl');
  if (!existsSync(file)) return null;
  const rows = readFileSync(file, 'utf8').trim().split('\n');
  const labels = rows.map((row) => (JSON.parse(row) as { label: string }).label);
  const classes = [...new Set(labels)].sort();
  const mapping = { id: 'id', text: 'text', group: 'topic', label: 'label' };
  return imported(join(dir, 'project'), classes, { sources: [file], mapping, labelsFromFolders: false });
}

function chestXray(dir: string): Promise<void> | null {
  const folder = join(DATA, 'chest-xray');
  if (!existsSync(folder)) return null;
  const classes = ['covid-19', 'no-findings', 'pneumonia'];
  return imported(join(dir, 'project'), classes, { sources: [folder], mapping: {}, labelsFromFolders: true });
}

const sample = (kind: 'cells' | 'notes') => async (dir: string) => {
  await createSampleProject(join(dir, 'project'), { kind, seed: 1, progress: silent });
};

const SETS: DataSet[] = [
  {
    name: 'chest-xray',
    title: 'chest X-rays, three classes',
    budget: 300,
    batch: 20,
    start: 20,
    seeds: 4,
    make: chestXray,
  },
  { name: 'mnist', title: 'MNIST digits, 2,000 of them', budget: 300, batch: 20, start: 20, seeds: 2, make: mnist },
  {
    name: 'cells',
    title: 'the sample of simulated cells',
    budget: 150,
    batch: 10,
    start: 10,
    seeds: 4,
    make: sample('cells'),
  },
  {
    name: 'notes',
    title: 'the sample of simulated notes',
    budget: 150,
    batch: 10,
    start: 10,
    seeds: 4,
    make: sample('notes'),
  },
  {
    name: 'medquad',
    title: 'MedQuAD answers, ten classes',
    budget: 290,
    batch: 30,
    start: 20,
    seeds: 2,
    make: medquad,
  },
];

/** One line of a table: what one strategy reached. */
interface Row {
  strategy: string;
  area: number[];
  to90: (number | null)[];
  to95: (number | null)[];
  seconds: number;
  curves: Curve[];
}

/** Mean accuracy over the labels asked for, by trapezoids. */
function areaOf({ points }: Curve): number {
  let area = 0;
  for (let i = 1; i < points.length; i++) {
    area += ((points[i].accuracy + points[i - 1].accuracy) / 2) * (points[i].labels - points[i - 1].labels);
  }
  return points.length === 1 ? points[0].accuracy : area / (points.at(-1)!.labels - points[0].labels);
}

/** Labels at which a curve first reaches an accuracy, between points by a straight line; null where it does not. */
function reaches({ points }: Curve, accuracy: number): number | null {
  const at = points.findIndex((point) => point.accuracy >= accuracy);
  if (at <= 0) return at < 0 ? null : points[0].labels;
  const [before, after] = [points[at - 1], points[at]];
  const share = (accuracy - before.accuracy) / (after.accuracy - before.accuracy);
  return before.labels + share * (after.labels - before.labels);
}

async function measured(set: DataSet): Promise<{ full: number; items: number; rows: Row[] } | null> {
  const dir = join(WORK, set.name);
  mkdirSync(dir, { recursive: true });
  const making = set.make(dir);
  if (making === null) return null;
  await making;
  const project = await Project.open(join(dir, 'project'), { resume: false });
  try {
    const seeds = QUICK ? 1 : set.seeds;
    const run = async (strategy: string, budget: number, batch: number, start: number) => {
      const options = { strategies: [strategy], budget, batch, start, seeds, testFraction: 0.25 };
      const job = await project.simulate(options).finished;
      if (job.error) throw EngineError.from(job.error);
      return (job.result as unknown as { curves: Curve[] }).curves;
    };
    const all = await run('random', EVERYTHING, EVERYTHING, EVERYTHING);
    const full = meanOf(all.map(({ points }) => points.at(-1)!.accuracy));
    const names = QUICK ? ['random', 'margin', 'typicality', 'default'] : Object.keys(STRATEGIES);
    const rows: Row[] = [];
    for (const strategy of names) {
      const began = performance.now();
      const curves = await run(strategy, QUICK ? 60 : set.budget, set.batch, set.start);
      const seconds = (performance.now() - began) / 1000 / seeds;
      const to = (share: number) => curves.map((curve) => reaches(curve, share * full));
      rows.push({ strategy, area: curves.map(areaOf), to90: to(0.9), to95: to(0.95), seconds, curves });
      console.log(
        `${set.name.padEnd(12)} ${strategy.padEnd(18)} ${said(rows.at(-1)!.area, 3)}  ${seconds.toFixed(1)} s`,
      );
    }
    return { full, items: project.status().items, rows };
  } finally {
    await project.close();
  }
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Mean ± standard error. */
function said(values: readonly number[], digits: number): string {
  const mean = meanOf(values);
  if (values.length < 2) return mean.toFixed(digits);
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return `${mean.toFixed(digits)} ± ${Math.sqrt(variance / values.length).toFixed(digits)}`;
}

/** Labels to a target, or in how many seeds it was reached where not in all. */
function labelsSaid(values: readonly (number | null)[], budget: number): string {
  const reached = values.filter((value) => value !== null);
  if (reached.length === values.length) return said(reached, 0);
  return reached.length === 0 ? `> ${budget}` : `> ${budget} in ${values.length - reached.length} of ${values.length}`;
}

const HEADING = '\n## ';
const INTRODUCTION = [
  '# Query strategies compared',
  '',
  'Written by `npm run bench -- acquisition`. Every strategy on every data set, by the program’s own simulation with its own encoder: a quarter of the items is held out by group, the oracle answers, the head is refitted after every round. “Area” is the mean accuracy on the way to the budget; labels to 90 % and 95 % are of the accuracy with the whole pool labelled. Means over seeds ± standard error; seconds for one curve. Differences within two standard errors are no differences.',
].join('\n');

/** The page as it is, with one data set's part put in or replaced; parts stand in the order of `SETS`. */
function withPart(title: string, part: string): string {
  const page = join(OUT, 'acquisition.md');
  const [, ...found] = existsSync(page) ? readFileSync(page, 'utf8').trimEnd().split(HEADING) : [''];
  const before = new Map(found.map((text) => [text.split('\n', 1)[0], text.trimEnd()]));
  before.set(title, part);
  const sorted = SETS.map((set) => before.get(headingOf(set))).filter((text) => text !== undefined);
  return `${[INTRODUCTION, ...sorted].join(`\n${HEADING}`)}\n`;
}

const headingOf = ({ title }: DataSet) => `${title[0].toUpperCase()}${title.slice(1)}`;

try {
  for (const set of SETS.filter(({ name }) => ONLY?.includes(name) ?? true)) {
    const found = await measured(set);
    if (!found) {
      console.log(`${set.name}: not here, left out`);
      continue;
    }
    const { full, items, rows } = found;
    const sorted = rows.toSorted((a, b) => meanOf(b.area) - meanOf(a.area));
    const caption = `${items} items, ${rows[0].area.length} seeds, ${set.start} labels to begin with, ${set.batch} a round, ${set.budget} in all; accuracy with every pool item labelled ${full.toFixed(3)}.`;
    const lines = [headingOf(set), '', caption, ''];
    lines.push(`![Accuracy by labels on ${set.title}](acquisition-${set.name}.svg)`, '');
    lines.push('| strategy | area | labels to 90 % | labels to 95 % | seconds |', '| --- | --- | --- | --- | --- |');
    for (const { strategy, area, to90, to95, seconds } of sorted) {
      const [ninety, more] = [labelsSaid(to90, set.budget), labelsSaid(to95, set.budget)];
      lines.push(`| ${strategy} | ${said(area, 3)} | ${ninety} | ${more} | ${seconds.toFixed(1)} |`);
    }
    if (QUICK) {
      console.log(lines.join('\n'));
      continue;
    }
    mkdirSync(OUT, { recursive: true });
    writeFileSync(join(OUT, `acquisition-${set.name}.svg`), curvesPlot(set.title, rows));
    // After each set: what was measured is kept if the next is stopped.
    writeFileSync(join(OUT, 'acquisition.md'), withPart(headingOf(set), lines.join('\n')));
  }
} finally {
  rmSync(WORK, { recursive: true, force: true });
}
