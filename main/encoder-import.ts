/**
 * An encoder's files, as a person names them: read, checked on a tiny batch, described.
 * Runs in compute, because a file from elsewhere may take its process along.
 */
import { readFile } from 'node:fs/promises';
import type { EncoderImportData, EncoderOutputsData } from './api.ts';
import { EngineError } from './domain/errors.ts';
import { inspectImportedEncoder, type Inspection } from './inference/index.ts';

/** Errors: `source-missing`, `source-unreadable`, `encoder-invalid`, `input-invalid`. */
export async function inspectFile(told: EncoderImportData): Promise<{ inspection: Inspection }> {
  const model = await readWhole(told.model);
  if (told.kind === 'image') {
    const { side, mean, std, output } = told;
    return { inspection: await inspectImportedEncoder(model, { kind: 'image', side, mean, std, output }) };
  }
  if (told.tokenizer === undefined) {
    throw new EngineError(
      'input-invalid',
      'A text encoder needs its tokenizer.json.',
      'Name the file that was published with the model.',
      { model: told.model },
    );
  }
  const tokenizer = (await readWhole(told.tokenizer)).toString('utf8');
  const { maxTokens, output } = told;
  return { inspection: await inspectImportedEncoder(model, { kind: 'text', tokenizer, maxTokens, output }) };
}

export function describeEncoder({ outputs, output, card }: Inspection): EncoderOutputsData {
  return { outputs, output, dims: card.dims };
}

async function readWhole(path: string): Promise<Buffer> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    const missing = error.code === 'ENOENT';
    throw new EngineError(
      missing ? 'source-missing' : 'source-unreadable',
      missing ? `There is no file ${path}.` : `The file ${path} cannot be read.`,
      missing ? 'Check the path.' : 'Ask for permission to read it, or choose another file.',
      { path },
      error,
    );
  });
}
