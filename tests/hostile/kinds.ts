/**
 * The doors that files come in by, each with whole files, a way to make mutants of them and
 * the code that reads them: models, tokenizers, images, tables, lines of JSON, projects.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EngineError } from '../../main/domain/errors.ts';
import type { Rng } from '../../main/domain/rng.ts';
import { trialsApart } from '../../main/encoder-trial.ts';
import { decodePixels, inspectImportedEncoder, trialsHere } from '../../main/inference/index.ts';
import { preview, readSources } from '../../main/ingest/index.ts';
import { mutateBytes, mutateModel } from './mutate.ts';
import { backupDoor, projectDoor } from './projects.ts';
import { PIECES, seeds, TOKENIZER } from './seeds.ts';

export const KINDS = ['model', 'tokenizer', 'image', 'table', 'project', 'backup'] as const;
export type Kind = (typeof KINDS)[number];

export interface Door {
  /** Reads a file that is as it should be. */
  whole(): Promise<unknown>;
  /** Makes a mutant and reads it. */
  mutant(rng: Rng, index: number): Promise<unknown>;
}

const DOORS: Record<Kind, (folder: string) => Promise<Door>> = {
  async model() {
    const files = await seeds();
    const read = (bytes: Uint8Array, at: number) => inspectImportedEncoder(bytes, files[at].told, trialsHere);
    return {
      whole: () => read(files[0].bytes, 0),
      mutant: (rng, index) => read(mutateModel(files[index % files.length].bytes, rng), index % files.length),
    };
  },
  async tokenizer() {
    const files = [TOKENIZER, PIECES];
    return {
      whole: () => trialsHere.tokenizer(files[0]),
      mutant: (rng, index) => trialsHere.tokenizer(mutatedJson(files[index % files.length], rng)),
    };
  },
  image(folder) {
    const names = readdirSync(IMAGES).filter((name) => !name.endsWith('.md'));
    const files = names.map((name) => readFileSync(join(IMAGES, name)));
    const read = (bytes: Uint8Array) => readImage(join(folder, 'picture.png'), bytes);
    return Promise.resolve({
      whole: () => read(files[0]),
      mutant: (rng, index) => read(mutateBytes(files[index % files.length], rng)),
    });
  },
  table(folder) {
    const read = (index: number, text: Uint8Array) => readTable(join(folder, `t.${TABLES[index % 4][0]}`), text);
    return Promise.resolve({
      whole: () => read(0, Buffer.from(TABLES[0][1])),
      mutant(rng, index) {
        const [kind, text] = TABLES[index % 4];
        const lines = text
          .split('\n')
          .map((line) => (kind === 'jsonl' && rng.int(3) === 0 ? mutatedJson(line, rng) : line));
        return read(
          index,
          rng.int(4) === 0 ? Buffer.from(lines.join('\n')) : mutateBytes(Buffer.from(lines.join('\n')), rng),
        );
      },
    });
  },
  project: (folder) => Promise.resolve(projectDoor(folder)),
  backup: (folder) => Promise.resolve(backupDoor(folder)),
};

const IMAGES = fileURLToPath(new URL('../ingest/files', import.meta.url));

/** As import does, and as an encoder does; what import lists as a problem is thrown. */
async function readImage(path: string, bytes: Uint8Array): Promise<void> {
  writeFileSync(path, bytes);
  await readAll(path);
  await decodePixels(path, { side: 32, channels: 3, fit: 'fill' });
}

async function readTable(path: string, bytes: Uint8Array): Promise<void> {
  writeFileSync(path, bytes);
  await preview([path], {});
  await readAll(path);
}

async function readAll(path: string): Promise<void> {
  const problems: EngineError[] = [];
  for await (const batch of readSources([path], {})) problems.push(...(batch.problems as unknown as EngineError[]));
  const wrong = problems.find(({ code }) => typeof code !== 'string');
  if (wrong) throw new Error(`a problem without a code: ${JSON.stringify(wrong)}`);
}

const ROWS = [
  ['id', 'text', 'age', 'group', 'label'],
  ['1', 'fever, cough and a "rash"', '34', 'a', 'yes'],
  ['2', 'two\nlines', '-1.5e3', 'b', 'no'],
  ['3', '=1+1', '', 'a', 'maybe'],
  ['4', '发热', '77', '', 'no'],
];
const quoted = (cell: string) => `"${cell.replaceAll('"', '""')}"`;
const TABLES: [string, string][] = [
  ['csv', ROWS.map((row) => row.map(quoted).join(',')).join('\r\n')],
  ['tsv', ROWS.map((row) => row.map((cell) => cell.replace('\n', ' ')).join('\t')).join('\n')],
  [
    'jsonl',
    ROWS.slice(1)
      .map((row) => JSON.stringify(Object.fromEntries(row.map((cell, i) => [ROWS[0][i], cell]))))
      .join('\n'),
  ],
  ['csv', ROWS.map((row) => row.join(';').replace('\n', ' ')).join('\n')],
];

/** A mutant of a model as the program meets it: in a process that is given a time to live, which `judgesOf` has not. */
export async function modelApart(rng: Rng, index: number): Promise<unknown> {
  const files = await seeds();
  const { bytes, told } = files[index % files.length];
  return inspectImportedEncoder(mutateModel(bytes, rng), told, trialsApart());
}

export const judgesOf = (kind: Kind, folder: string): Promise<Door> => DOORS[kind](folder);

const VALUES: unknown[] = [
  null,
  0,
  -1,
  1e308,
  2 ** 53,
  '',
  [],
  {},
  true,
  'a'.repeat(1000),
  '(a+)+$',
  '(',
  '\\p{L}*{1000}',
];

/** JSON with values replaced, left out, moved; or its bytes changed. */
function mutatedJson(text: string, rng: Rng): string {
  if (rng.int(3) === 0) return Buffer.from(mutateBytes(Buffer.from(text), rng)).toString();
  const root: unknown = JSON.parse(text);
  for (let changes = 1 + rng.int(3); changes > 0; changes--) {
    const places: [Record<string, unknown>, string][] = [];
    const visit = (value: unknown) => {
      if (typeof value !== 'object' || value === null) return;
      for (const key of Object.keys(value)) {
        places.push([value as Record<string, unknown>, key]);
        visit((value as Record<string, unknown>)[key]);
      }
    };
    visit(root);
    const [holder, key] = places[rng.int(places.length)];
    const [other, otherKey] = places[rng.int(places.length)];
    const kind = rng.int(3);
    if (kind === 0) delete holder[key];
    else holder[key] = structuredClone(kind === 1 ? other[otherKey] : VALUES[rng.int(VALUES.length)]);
  }
  return JSON.stringify(root);
}
