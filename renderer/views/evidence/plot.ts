/** Lines, areas and ticks of the learning curve, as SVG path strings: pure geometry. */

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
