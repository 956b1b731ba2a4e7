/**
 * The part of the contract about encoders that others made: what is told of one when it is
 * imported, and what is found in it.
 */
import * as v from 'valibot';

const Count = v.pipe(v.number(), v.integer(), v.minValue(0));
const Path = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));

/** An encoder that others made, with what its publisher says about it. Files are paths on this machine. */
export const EncoderImport = v.object({
  model: Path,
  kind: v.picklist(['image', 'text']),
  /** For texts: its tokenizer.json. */
  tokenizer: v.optional(Path),
  maxTokens: v.optional(v.pipe(v.number(), v.integer(), v.minValue(8))),
  /** For images: pixels of a side, where the file does not fix it; mean and deviation per channel, of values in 0–1. */
  side: v.optional(v.pipe(v.number(), v.integer(), v.minValue(8), v.maxValue(2048))),
  mean: v.optional(v.array(v.number())),
  std: v.optional(v.array(v.pipe(v.number(), v.minValue(1e-6)))),
  output: v.optional(v.string()),
});

export const EncoderOutputs = v.object({
  outputs: v.array(v.object({ name: v.string(), dims: v.array(v.number()) })),
  /** The one that would be used, and how wide it is. */
  output: v.string(),
  dims: Count,
});
