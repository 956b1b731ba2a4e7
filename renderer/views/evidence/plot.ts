/**
 * Geometry of the charts of Evidence: ticks, scales, and lines, areas and stairs as SVG path
 * strings. Pure; places are pixels, the rest is in the units of what is drawn.
 */

/** Round numbers from about `from` to `to`, at most about `most` of them: steps of 1, 2 or 5 times a power of ten. */
export function ticks(from: number, to: number, most: number): number[] {
  if (!(to > from) || most < 1) return [from];
  const rough = (to - from) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= rough * 0.999) ?? 10 * power;
  const result: number[] = [];
  for (let k = Math.ceil(from / step - 1e-9); k * step <= to + step * 1e-9; k++)
    result.push(Number((k * step).toPrecision(12)));
  return result;
}

/** A straight scale from [a, b] to [c, d]. */
export function scaleTo(a: number, b: number, c: number, d: number): (value: number) => number {
  return (value) => c + ((value - a) / (b - a || 1)) * (d - c);
}

export function line(points: [number, number][]): string {
  return points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');
}

/** Between two heights at each x; a single point has no area. */
export function area(points: [number, number, number][]): string {
  if (points.length < 2) return '';
  const forth: [number, number][] = points.map(([x, low]) => [x, low]);
  const back: [number, number][] = points.toReversed().map(([x, , high]) => [x, high]);
  return `${line([...forth, ...back])}Z`;
}

/** Stairs through points in ascending x: each height holds until the next point. */
export function stairs(points: readonly (readonly [number, number])[]): string {
  return points
    .map(([x, y], i) => (i === 0 ? `M${x.toFixed(1)} ${y.toFixed(1)}` : `H${x.toFixed(1)}V${y.toFixed(1)}`))
    .join('');
}

/** Heights pushed down as far as keeps them `gap` apart and in their order; for words beside the ends of lines. */
export function apart(heights: readonly number[], gap: number): number[] {
  const order = heights.map((_, i) => i).toSorted((a, b) => heights[a] - heights[b] || a - b);
  const placed = [...heights];
  order.forEach((i, k) => {
    if (k > 0) placed[i] = Math.max(placed[i], placed[order[k - 1]] + gap);
  });
  return placed;
}

/** The index of the value nearest to `wanted`, the first of equals; -1 of none. */
export function nearest(values: readonly number[], wanted: number): number {
  let best = -1;
  values.forEach((value, i) => {
    if (best < 0 || Math.abs(value - wanted) < Math.abs(values[best] - wanted)) best = i;
  });
  return best;
}

/** Where a value stands in an ascending row, as an index with a fraction; null beyond its ends. */
export function placeIn(row: readonly number[], value: number): number | null {
  const after = row.findIndex((one) => one >= value - 1e-12);
  if (after < 0 || (after === 0 && row[0] > value + 1e-12)) return null;
  return after === 0 ? 0 : after - (row[after] - value) / (row[after] - row[after - 1]);
}
