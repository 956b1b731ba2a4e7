/**
 * Joins blocks into one encoder: a single ONNX file from the tensors of all parts to
 * 'embedding' and 'reduced'. Blocks are put side by side, each with the same mean squared
 * norm; a missing part is a block of zeros. 'reduced' is for distances (typicality,
 * neighbours): the leading principal components where the embedding is wide, else itself.
 */
import type { Matrix } from '../domain/matrix.ts';
import type { Rng } from '../domain/rng.ts';
import { GraphBuilder, readModel } from '../onnx/index.ts';
import { type Block, type FitWatch, inputsOf } from './block.ts';
import { randomizedSvd, rowOperator, SVD_PASSES } from './decompose.ts';

/** Principal components that 'reduced' has. */
const REDUCED_DIMS = 96;
/** Embeddings up to this width are their own reduction. */
const NARROW = 256;

/** Mean and components (rows) of embeddings. */
export interface Reduction {
  mean: Float32Array;
  components: Float32Array;
  dims: number;
}

/** Width of the joined embedding. */
export function joinedDims(blocks: readonly Block[]): number {
  return blocks.reduce((sum, block) => sum + block.dims, 0);
}

/** Whether a reduction is worth fitting. */
export function isWide(blocks: readonly Block[]): boolean {
  return joinedDims(blocks) > NARROW;
}

/** The encoder's file. Inputs: those of the blocks, and with several blocks 'present' `[n, blocks]`, 1 where an item has the part. */
export function assemble(blocks: readonly Block[], reduction: Reduction | null): Uint8Array {
  const opset = Math.max(...blocks.map((block) => readModel(block.model).opset));
  const g = new GraphBuilder('encoder', { opset });
  const shared = blocks.map((block) =>
    Object.fromEntries(inputsOf(block.preparation).map(({ name, dtype, dims }) => [name, g.input(name, dtype, dims)])),
  );
  const present = blocks.length > 1 ? g.input('present', 'float32', ['n', blocks.length]) : null;
  const joined = blocks.map((block, i) => g.inline(block.model, shared[i]));
  const dims = joinedDims(blocks);
  let embedding = joined[0].features;
  if (present) {
    const parts = joined.map(({ features }, i) =>
      g.node('Mul', [features, g.node('Gather', [present, g.ints(i)], { axis: 1 })]),
    );
    const share = g.scalar(1 / Math.sqrt(blocks.length));
    embedding = g.node('Mul', [g.node('Concat', parts, { axis: 1 }), share]);
  }
  g.output('embedding', 'float32', ['n', dims], embedding);
  if (reduction) {
    const { mean, components, dims: reducedDims } = reduction;
    const centred = g.node('Sub', [embedding, g.constant(mean, [1, dims])]);
    const projected = g.node('Gemm', [centred, g.constant(components, [reducedDims, dims])], { transB: 1 });
    g.output('reduced', 'float32', ['n', reducedDims], projected);
  } else g.output('reduced', 'float32', ['n', dims], embedding);
  joined.forEach((outputs, i) => {
    const { maps } = blocks[i];
    if (maps) g.output('maps', 'float32', ['n', maps.channels, maps.side, maps.side], outputs.maps);
    if (blocks[i].terms === undefined) return;
    g.output('term_rows', 'int64', ['n', 'terms'], outputs.term_rows);
    g.output('term_weights', 'float32', ['n', 'terms'], outputs.term_weights);
  });
  return g.toModel(Object.assign({}, ...blocks.map((block) => block.metadata ?? {})));
}

/** The leading principal components of a sample of embeddings. */
export async function fitReduction(sample: Matrix, rng: Rng, watch: FitWatch): Promise<Reduction> {
  const { rows, columns } = sample;
  const mean = new Float64Array(columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) mean[j] += sample.data[i * columns + j] / rows;
  const centred = new Float64Array(columns);
  const operator = rowOperator(
    rows,
    columns,
    (i) => {
      for (let j = 0; j < columns; j++) centred[j] = sample.data[i * columns + j] - mean[j];
      return { columns: null, values: centred, from: 0, to: columns };
    },
    (done) => watch.report('principal components', done / (SVD_PASSES * rows)),
  );
  const { vectors, rank } = await randomizedSvd(operator, Math.min(REDUCED_DIMS, Math.max(1, rows - 1)), rng);
  // A pool of equal items has no directions; one arbitrary one keeps the shape valid.
  const components = rank > 0 ? Float32Array.from(vectors) : new Float32Array(columns);
  return { mean: Float32Array.from(mean), components, dims: Math.max(1, rank) };
}
