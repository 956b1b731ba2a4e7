/**
 * The doors that files come in by, each with whole files, a way to make mutants of them and
 * the code that reads them: models, tokenizers, images, tables, lines of JSON, projects.
 */
import type { Rng } from '../../main/domain/rng.ts';
import { inspectImportedEncoder, trialsHere } from '../../main/inference/index.ts';
import { mutateBytes, mutateModel } from './mutate.ts';
import { PIECES, seeds, TOKENIZER } from './seeds.ts';

export const KINDS = ['model', 'tokenizer'] as const;
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
};

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
