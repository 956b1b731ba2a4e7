/**
 * The text block, learned from the pool: hashed n-grams weighted by TF-IDF (logarithmic
 * counts, unit length), reduced to a few hundred dimensions by the leading singular
 * vectors of the pool (latent semantic analysis, Deerwester et al. 1990; randomized SVD,
 * Halko et al. 2011). The graph also gives the sparse vectors themselves: 'term_rows',
 * places in the vocabulary, and 'term_weights', zero where padded.
 */
import { EngineError } from '../domain/errors.ts';
import type { Rng } from '../domain/rng.ts';
import { GraphBuilder } from '../onnx/index.ts';
import { inputsOf, type Block, type FitWatch, type TermsPreparation } from './block.ts';
import { randomizedSvd, rowOperator, SVD_PASSES } from './decompose.ts';
import { BUCKETS, type TermCounts, WITHIN_FROM } from './ngrams.ts';

/** Terms that are kept, those in the most documents: whole words, and character n-grams within words. */
const WHOLE_TERMS = 14_000;
const WITHIN_TERMS = 6_000;
/** Weight of an n-gram within a word beside a whole word: there are several of them per word. */
const WITHIN_WEIGHT = 0.2;
const TEXT_DIMS = 200;
const FEWEST_DIMS = 8;

/** Sparse rows: row i has the columns `indices[indptr[i] … indptr[i + 1])`. */
export interface SparseMatrix {
  rows: number;
  columns: number;
  indptr: Int32Array;
  indices: Int32Array;
  data: Float32Array;
}

/** Fits the block. `documents` is a sample of the pool's texts; `frequencies` counts, per bucket, in how many of the `total` texts of the pool it occurs. */
export async function fitTextBlock(
  documents: readonly TermCounts[],
  frequencies: Int32Array,
  total: number,
  rng: Rng,
  watch: FitWatch,
): Promise<Block> {
  const { rowOf, kept } = chooseVocabulary(frequencies, total);
  if (kept.length === 0) {
    throw new EngineError(
      'encoder-invalid',
      'The texts of the pool have no words in common, not even parts of words.',
      'Import texts with words in them, or more of them.',
      { texts: total },
    );
  }
  const idf = new Float32Array(kept.length + 1);
  kept.forEach((bucket, i) => {
    const rarity = Math.log((1 + total) / (1 + frequencies[bucket])) + 1;
    idf[i + 1] = bucket < WITHIN_FROM ? rarity : rarity * WITHIN_WEIGHT;
  });
  const tfidf = weigh(documents, rowOf, idf);
  const operator = rowOperator(
    tfidf.rows,
    tfidf.columns,
    (i) => ({ columns: tfidf.indices, values: tfidf.data, from: tfidf.indptr[i], to: tfidf.indptr[i + 1] }),
    (done) => watch.report('text', done / (SVD_PASSES * tfidf.rows)),
  );
  // Half as many dimensions as texts, at most: with more, every text is a direction of its own.
  const wanted = Math.min(TEXT_DIMS, Math.max(FEWEST_DIMS, Math.floor(tfidf.rows / 2)));
  const { vectors, rank } = await randomizedSvd(operator, wanted, rng.derive('svd'));
  const columns = kept.length + 1;
  const table = new Float16Array(columns * rank);
  for (let t = 0; t < columns; t++) for (let r = 0; r < rank; r++) table[t * rank + r] = vectors[r * columns + t];

  const preparation: TermsPreparation = { kind: 'text', method: 'terms', buckets: BUCKETS };
  const g = new GraphBuilder('text');
  const [ids, counts] = inputsOf(preparation).map(({ name, dtype, dims }) => g.input(name, dtype, dims));
  const rows = g.node('Cast', [g.node('Gather', [g.constant(rowOf), ids])], { to: 7 });
  // 1 + log(count) where the term occurs, 0 where the row is padded.
  const present = g.node('Cast', [g.node('Greater', [counts, g.scalar(0)])], { to: 1 });
  const logged = g.node('Log', [g.node('Add', [counts, g.node('Sub', [g.scalar(1), present])])]);
  const frequency = g.node('Add', [logged, present]);
  const raw = g.node('Mul', [frequency, g.node('Gather', [g.constant(idf), rows])]);
  const weights = unitLength(g, raw);
  const projected = g.node('Gather', [g.node('Cast', [g.constant(table, [columns, rank])], { to: 1 }), rows]);
  const summed = g.node('MatMul', [g.node('Unsqueeze', [weights, g.ints(1)]), projected]);
  g.output('features', 'float32', ['n', rank], unitLength(g, g.node('Squeeze', [summed, g.ints(1)])));
  g.output('term_rows', 'int64', ['n', 'terms'], rows);
  g.output('term_weights', 'float32', ['n', 'terms'], weights);
  return {
    kind: 'text',
    model: g.toModel(),
    preparation,
    dims: rank,
    terms: columns,
    fittedOn: total,
    features: null,
  };
}

/** Divides every row by its length; a row of zeros stays one. */
export function unitLength(g: GraphBuilder, x: string): string {
  const squares = g.node('ReduceSum', [g.node('Mul', [x, x]), g.ints(1)], { keepdims: 1 });
  return g.node('Div', [x, g.node('Sqrt', [g.node('Add', [squares, g.scalar(1e-12)])])]);
}

/** The buckets kept, most frequent first, and bucket → row (0: not kept). */
function chooseVocabulary(frequencies: Int32Array, total: number): { rowOf: Int32Array; kept: number[] } {
  const least = total < 20 ? 1 : 2;
  const mostFrequent = (from: number, to: number, count: number) => {
    const candidates: number[] = [];
    for (let bucket = from; bucket < to; bucket++) if (frequencies[bucket] >= least) candidates.push(bucket);
    return candidates.sort((a, b) => frequencies[b] - frequencies[a] || a - b).slice(0, count);
  };
  const kept = [
    ...mostFrequent(0, WITHIN_FROM, WHOLE_TERMS),
    ...mostFrequent(WITHIN_FROM, frequencies.length, WITHIN_TERMS),
  ];
  const rowOf = new Int32Array(frequencies.length);
  kept.forEach((bucket, i) => (rowOf[bucket] = i + 1));
  return { rowOf, kept };
}

function weigh(documents: readonly TermCounts[], rowOf: Int32Array, idf: Float32Array): SparseMatrix {
  let size = 0;
  for (const { ids } of documents) for (const id of ids) if (rowOf[id] > 0) size++;
  const indptr = new Int32Array(documents.length + 1);
  const indices = new Int32Array(size);
  const data = new Float32Array(size);
  let at = 0;
  documents.forEach(({ ids, counts }, i) => {
    const start = at;
    let squares = 0;
    for (let j = 0; j < ids.length; j++) {
      const row = rowOf[ids[j]];
      if (row === 0) continue;
      const weight = (1 + Math.log(counts[j])) * idf[row];
      indices[at] = row;
      data[at++] = weight;
      squares += weight * weight;
    }
    const length = Math.sqrt(squares) || 1;
    for (let j = start; j < at; j++) data[j] /= length;
    indptr[i + 1] = at;
  });
  return { rows: documents.length, columns: idf.length, indptr, indices, data };
}
