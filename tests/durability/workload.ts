/**
 * What a project is put through while its disk fails, and what may be expected of it
 * afterwards: the acknowledgements a process printed, and what a folder must hold that was
 * cut off after some of them. Nothing acknowledged is missing, nothing is half there,
 * `verify` finds nothing, and the project goes on.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from '../../main/domain/errors.ts';
import { itemIdOf, type Candidate } from '../../main/domain/item.ts';
import { createProject, openProject, type ProjectStore } from '../../main/store/index.ts';

/** One line of a writing process: this much is on disk, it says. */
export type Ack =
  | { kind: 'created' }
  | { kind: 'act'; sequence: number; hash: string }
  | { kind: 'import'; items: number; sequence: number; hash: string }
  | { kind: 'class'; name: string }
  | { kind: 'version'; version: number; blob: string }
  | { kind: 'live'; version: number }
  | { kind: 'checkpoint'; job: string; cursor: number; blob: string }
  | { kind: 'file'; name: string; sha256: string }
  | { kind: 'restored'; name: string; sequence: number; hash: string };

export const NEW_PROJECT = { name: 'cells', task: 'classify' as const, classes: ['round', 'long', 'odd'], seed: 7 };

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Items of one number each; with a label where `labelled` says so. */
export function candidates(from: number, count: number, labelled = false): Candidate[] {
  return Array.from({ length: count }, (_, i) => {
    const parts = [{ kind: 'numbers' as const, values: { n: from + i } }];
    const name = `row ${from + i}`;
    const label = labelled ? ['round'] : null;
    return {
      id: itemIdOf(parts, name),
      name,
      parts,
      group: `patient ${(from + i) >> 2}`,
      label,
      fingerprint: null,
      source: name,
    };
  });
}

interface Expected {
  isCreated: boolean;
  act: { sequence: number; hash: string } | null;
  items: number;
  classes: string[];
  versions: Map<number, string>;
  live: number | null;
  checkpoint: { job: string; cursor: number; blob: string } | null;
  files: Map<string, string>;
  restored: { name: string; sequence: number; hash: string } | null;
}

function expectedAfter(acks: readonly Ack[]): Expected {
  const expected: Expected = {
    isCreated: acks.length > 0,
    act: null,
    items: 0,
    classes: [],
    versions: new Map(),
    live: null,
    checkpoint: null,
    files: new Map(),
    restored: null,
  };
  for (const ack of acks) {
    if (ack.kind === 'act') expected.act = ack;
    else if (ack.kind === 'import') {
      expected.items = ack.items;
      if (ack.sequence > 0) expected.act = ack;
    } else if (ack.kind === 'class') expected.classes.push(ack.name);
    else if (ack.kind === 'version') expected.versions.set(ack.version, ack.blob);
    else if (ack.kind === 'live') expected.live = ack.version;
    else if (ack.kind === 'checkpoint') expected.checkpoint = ack;
    else if (ack.kind === 'file') expected.files.set(ack.name, ack.sha256);
    // The last one only: each is a whole project to verify.
    else if (ack.kind === 'restored') expected.restored = ack;
  }
  return expected;
}

/** What is wrong in `root` after a failure: `acks` came before it, `all` are those of the whole run. */
export function wrongIn(root: string, acks: readonly Ack[], all: readonly Ack[]): string[] {
  const wrong: string[] = [];
  const expected = expectedAfter(acks);
  for (const [name, sha256] of expected.files) {
    const file = join(root, name);
    if (!existsSync(file)) wrong.push(`lost: the file ${name}`);
    // A later file of the same name may be there already, whole.
    else if (sha256Of(readFileSync(file)) !== sha256 && !isLater(file, name, all)) wrong.push(`damaged: ${name}`);
  }
  const { restored } = expected;
  if (restored) wrong.push(...inside(join(root, restored.name), { act: restored }, [], `${restored.name}: `));
  return [...wrong, ...inside(join(root, 'project'), expected, all, '')];
}

const isLater = (file: string, name: string, all: readonly Ack[]) => {
  const sha256 = sha256Of(readFileSync(file));
  return all.some((ack) => ack.kind === 'file' && ack.name === name && ack.sha256 === sha256);
};

function inside(dir: string, expected: Partial<Expected>, all: readonly Ack[], where: string): string[] {
  let store: ProjectStore;
  try {
    store = reopen(dir, expected.isCreated ?? true);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return [`damaged: ${where}${error.code}: ${error.message}`];
  }
  try {
    const wrong = [...missing(store, expected), ...halfThere(store, all)];
    const { problems } = store.verify();
    wrong.push(...problems.map(({ code, where: at, message }) => `damaged: ${code}, ${at}: ${message}`));
    if (wrong.length === 0) goOn(store);
    return wrong.map((line) => line.replace(': ', `: ${where}`));
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return [`damaged: ${where}${error.code}: ${error.message}`];
  } finally {
    store.close();
  }
}

/** Opens what is there. A project whose making was not acknowledged may not be there, but can then be made. */
function reopen(dir: string, isCreated: boolean): ProjectStore {
  let now = 2_000_000;
  const clock = () => now++;
  try {
    return openProject(dir, { clock });
  } catch (error) {
    const isAbsent = error instanceof EngineError && error.code === 'project-not-found';
    if (isCreated || !isAbsent) throw error;
    return createProject(dir, { ...NEW_PROJECT, clock });
  }
}

function missing(store: ProjectStore, expected: Partial<Expected>): string[] {
  const lost: string[] = [];
  const { act, live, checkpoint } = expected;
  if (act && store.annotations.get(act.sequence)?.hash !== act.hash) {
    lost.push(`lost: annotations ${store.annotations.head().sequence + 1} to ${act.sequence}`);
  }
  const { items } = store.counts();
  if (items < (expected.items ?? 0)) lost.push(`lost: items ${items} of ${expected.items}`);
  const { classes } = store.schema.current();
  for (const name of expected.classes ?? []) if (!classes.includes(name)) lost.push(`lost: class ${name}`);
  for (const [version, blob] of expected.versions ?? []) {
    if (store.versions.get(version)?.blob !== blob) lost.push(`lost: version ${version}`);
    else if (!store.blobs.has(blob) || !store.blobs.isIntact(blob)) lost.push(`lost: the blob of version ${version}`);
  }
  if (live && !store.versions.promotions().some(({ version }) => version === live))
    lost.push(`lost: promotion of ${live}`);
  if (checkpoint) {
    const cursor = Number(store.jobs.get(checkpoint.job)?.cursor ?? -1);
    if (cursor < checkpoint.cursor) lost.push(`lost: checkpoint ${checkpoint.cursor}, there is ${cursor}`);
    if (!store.blobs.has(checkpoint.blob) || !store.blobs.isIntact(checkpoint.blob)) lost.push('lost: its blob');
  }
  return lost;
}

/** An import is there whole or not at all, with its labels. */
function halfThere(store: ProjectStore, all: readonly Ack[]): string[] {
  const heads = new Set(all.flatMap((ack) => ('sequence' in ack ? ack.sequence : [])));
  const totals = new Set(all.flatMap((ack) => (ack.kind === 'import' ? ack.items : [])));
  const { items } = store.counts();
  const { sequence } = store.annotations.head();
  if (all.length === 0) return [];
  return [
    ...(items === 0 || totals.has(items) ? [] : [`damaged: half an import, ${items} items`]),
    ...(sequence === 0 || heads.has(sequence) ? [] : [`damaged: half an import, ${sequence} annotations`]),
  ];
}

/** A project that is sound takes another label. */
function goOn(store: ProjectStore): void {
  const [item] = store.items.list({ limit: 1 });
  if (!item) return;
  const { sequence } = store.annotations.head();
  const act = store.annotations.append({ item: item.id, act: 'comment', text: 'x', annotator: 'kim', durationMs: 1 });
  if (act.sequence !== sequence + 1) throw new Error(`Annotation ${act.sequence} follows ${sequence}.`);
}

/** The acknowledgements in what a process printed; a last line that is cut off is none. */
export function acksIn(text: string): Ack[] {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Ack);
}
