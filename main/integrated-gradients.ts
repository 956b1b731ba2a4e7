/**
 * Integrated gradients (Sundararajan, Taly & Yan 2017): what each place of a value has to do
 * with the log odds, by following the gradient from a baseline to the value. What all places
 * get sums to the difference of the two log odds (their axiom of completeness).
 */
import { setImmediate } from 'node:timers/promises';
import { ALONG, EVIDENCE, FROM, TO, WEIGHTS } from './autodiff/index.ts';
import { tensor, type Feeds, type Session } from './inference/index.ts';

/** A value from its baseline to where it is; `dims` begin with 1. */
export interface Path {
  name: string;
  dims: readonly number[];
  from: Float32Array;
  to: Float32Array;
}

/** Gauss and Legendre's four points and weights on [0, 1]: exact to the seventh degree. */
const RULE = [
  { at: 0.0694318442029737, weight: 0.173927422568727 },
  { at: 0.330009478207572, weight: 0.326072577431273 },
  { at: 0.669990521792428, weight: 0.326072577431273 },
  { at: 0.930568155797026, weight: 0.173927422568727 },
];

/** How many points of a path go through the model at once: one piece of it. */
export const POINTS_AT_ONCE = RULE.length;

/** Follows all paths at once, in `pieces` of four points. `session` is of an evidence model; `fixed` is what it takes besides. Gives the evidence of each place, path by path. */
export async function integratedGradients(
  session: Session,
  paths: readonly Path[],
  fixed: Feeds,
  pieces: number,
  signal?: AbortSignal,
): Promise<Float64Array[]> {
  const feeds: Feeds = { ...fixed };
  for (const { name, dims, from, to } of paths) {
    feeds[FROM + name] = tensor(from, dims);
    feeds[TO + name] = tensor(to, dims);
  }
  feeds[WEIGHTS] = tensor(
    Float32Array.from(RULE, ({ weight }) => weight / pieces),
    [POINTS_AT_ONCE],
  );
  const sums: Float64Array[] = [];
  for (let piece = 0; piece < pieces; piece++) {
    signal?.throwIfAborted();
    const along = Float32Array.from(RULE, ({ at }) => (piece + at) / pieces);
    feeds[ALONG] = tensor(along, [POINTS_AT_ONCE, ...paths[0].dims.slice(1).map(() => 1)]);
    const found = await session.run(feeds);
    paths.forEach(({ name }, i) => {
      const evidence = found[EVIDENCE + name].data as Float32Array;
      sums[i] ??= new Float64Array(evidence.length);
      for (let j = 0; j < evidence.length; j++) sums[i][j] += evidence[j];
    });
    await setImmediate();
  }
  return sums;
}
