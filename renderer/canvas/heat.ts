/**
 * Evidence drawn over a picture: orange speaks for the class, blue against it, a pair that
 * the usual colour blindnesses tell apart. What is weak is left clear, so that the picture
 * stays readable, and the strongest places have an outline, solid for, broken against.
 */
export interface Heat {
  width: number;
  height: number;
  /** Row by row, in [−1, 1]. */
  values: readonly number[];
}

const FOR = [255, 140, 26] as const;
const AGAINST = [64, 132, 255] as const;
/** Evidence below this is clear, and above twice this drawn in proportion. */
const CLEAR = 0.16;

/** How much of its full strength evidence is drawn with, in [0, 1]. */
export function weight(value: number): number {
  const size = Math.min(1, Math.abs(value));
  const begun = Math.min(1, Math.max(0, (size - CLEAR) / CLEAR));
  return begun * begun * (3 - 2 * begun) * size;
}

/** Red, green, blue and opacity of every value. */
export function colours({ width, height, values }: Heat): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(4 * width * height);
  values.forEach((value, i) => {
    pixels.set(value > 0 ? FOR : AGAINST, 4 * i);
    pixels[4 * i + 3] = 255 * weight(value);
  });
  return pixels;
}

/** Where the evidence passes `level`, as an SVG path in the map's units: marching squares over the centres of its values (Lorensen & Cline 1987, in the plane). */
export function outline({ width, height, values }: Heat, level: number): string {
  const sign = Math.sign(level);
  const limit = Math.abs(level);
  // a frame of nothing closes what reaches the edge
  const at = (x: number, y: number) =>
    x < 0 || y < 0 || x >= width || y >= height ? 0 : Math.max(0, sign * values[y * width + x]);
  const pieces: string[] = [];
  for (let y = -1; y < height; y++) {
    for (let x = -1; x < width; x++) {
      const corners = [at(x, y), at(x + 1, y), at(x + 1, y + 1), at(x, y + 1)];
      const crossings: string[] = [];
      corners.forEach((a, i) => {
        const b = corners[(i + 1) % 4];
        if (a >= limit === b >= limit) return;
        const t = (limit - a) / (b - a);
        const [px, py] = [
          [x + t, y],
          [x + 1, y + t],
          [x + 1 - t, y + 1],
          [x, y + 1 - t],
        ][i];
        const inside = (place: number, most: number) => Math.min(most, Math.max(0, place + 0.5)).toFixed(2);
        crossings.push(`${inside(px, width)} ${inside(py, height)}`);
      });
      for (let i = 0; i + 1 < crossings.length; i += 2) pieces.push(`M${crossings[i]}L${crossings[i + 1]}`);
    }
  }
  return pieces.join('');
}
