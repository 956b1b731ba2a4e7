/**
 * An encoder's files, as a person names them: read once, looked through, tried on a tiny
 * batch in a process of their own, described. Files from elsewhere are hostile until then.
 */
import { readFile, stat } from 'node:fs/promises';
import type { EncoderImportData, EncoderOutputsData } from './api.ts';
import { EngineError } from './domain/errors.ts';
import { trialsApart } from './encoder-trial.ts';
import { inspectImportedEncoder, type Inspection } from './inference/index.ts';

/** Errors: `source-missing`, `source-unreadable`, `file-unsupported`, `encoder-invalid`, `out-of-memory`, `input-invalid`. */
export async function inspectFile(told: EncoderImportData): Promise<{ inspection: Inspection }> {
  const trials = trialsApart();
  const model = await readWhole(told.model, MODEL_BYTES);
  if (told.kind === 'image') {
    const { side, mean, std, output } = told;
    return { inspection: await inspectImportedEncoder(model, { kind: 'image', side, mean, std, output }, trials) };
  }
  if (told.tokenizer === undefined) {
    throw new EngineError(
      'input-invalid',
      'A text encoder needs its tokenizer.json.',
      'Name the file that was published with the model.',
      { model: told.model },
    );
  }
  const tokenizer = (await readWhole(told.tokenizer, TOKENIZER_BYTES)).toString('utf8');
  const { maxTokens, output } = told;
  return { inspection: await inspectImportedEncoder(model, { kind: 'text', tokenizer, maxTokens, output }, trials) };
}

export function describeEncoder({ outputs, output, card }: Inspection): EncoderOutputsData {
  return { outputs, output, dims: card.dims };
}

/** One ONNX file cannot be larger, and Node reads no more at once. */
const MODEL_BYTES = 2 ** 31 - 1;
/** Those of a hundred languages have 17 MB. */
const TOKENIZER_BYTES = 128 * 2 ** 20;

async function readWhole(path: string, most: number): Promise<Buffer> {
  return readOrdinary(path, most).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof EngineError) throw error;
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

async function readOrdinary(path: string, most: number): Promise<Buffer> {
  const stats = await stat(path);
  // a pipe or a device may have no end
  if (!stats.isFile()) {
    throw new EngineError('file-unsupported', `${path} is not an ordinary file.`, 'Name the file itself.', { path });
  }
  if (stats.size > most) {
    throw new EngineError(
      'encoder-invalid',
      `${path} has ${Math.round(stats.size / 2 ** 20)} MB; at most ${Math.floor(most / 2 ** 20)} MB are read.`,
      'Choose a smaller model, or check that this is the right file.',
      { path },
    );
  }
  return readFile(path);
}
