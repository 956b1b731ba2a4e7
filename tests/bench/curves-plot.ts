/**
 * Learning curves of many strategies as one SVG: the few worth comparing in colour with
 * their names at the end of the line, the rest in grey behind them.
 */
import type { Curve } from '../../main/training/index.ts';

const WIDTH = 760;
const HEIGHT = 420;
const LEFT = 52;
const RIGHT = 130;
const TOP = 34;
const BOTTOM = 44;
/** Told apart by people who see colours differently (Okabe & Ito 2008). */
const NAMED: Record<string, string> = {
  default: '#0072b2',
  margin: '#e69f00',
  typicality: '#009e73',
  random: '#d55e00',
};

/** An SVG file; each strategy is the mean of its curves. */
export function curvesPlot(title: string, rows: readonly { strategy: string; curves: readonly Curve[] }[]): string {
  const lines = rows.map(({ strategy, curves }) => ({
    strategy,
    points: curves[0].points.map(({ labels }, i) => {
      const accuracy = curves.reduce((sum, { points }) => sum + points[i].accuracy, 0) / curves.length;
      return { labels, accuracy };
    }),
  }));
  const everything = lines.flatMap(({ points }) => points);
  const most = Math.max(...everything.map(({ labels }) => labels));
  const low = Math.floor(10 * Math.min(...everything.map(({ accuracy }) => accuracy))) / 10;
  const high = Math.ceil(20 * Math.max(...everything.map(({ accuracy }) => accuracy))) / 20;
  const x = (labels: number) => LEFT + (labels / most) * (WIDTH - LEFT - RIGHT);
  const y = (accuracy: number) => TOP + ((high - accuracy) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const path = (points: (typeof lines)[number]['points']) =>
    points.map(({ labels, accuracy }) => `${x(labels).toFixed(1)},${y(accuracy).toFixed(1)}`).join(' ');
  const grid: string[] = [];
  for (let value = low; value <= high + 1e-9; value += 0.1) {
    const at = y(value).toFixed(1);
    grid.push(`<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}" stroke="#ddd"/>`);
    grid.push(
      `<text x="${LEFT - 8}" y="${at}" text-anchor="end" dominant-baseline="middle">${value.toFixed(1)}</text>`,
    );
  }
  const step = most > 200 ? 50 : 25;
  for (let labels = 0; labels <= most; labels += step) {
    grid.push(`<text x="${x(labels).toFixed(1)}" y="${HEIGHT - BOTTOM + 20}" text-anchor="middle">${labels}</text>`);
  }
  const grey = lines.filter(({ strategy }) => !NAMED[strategy]);
  const named = lines
    .filter(({ strategy }) => NAMED[strategy])
    .toSorted((a, b) => b.points.at(-1)!.accuracy - a.points.at(-1)!.accuracy);
  let lowest = -Infinity;
  const drawn = [
    ...grey.map(({ points }) => `<polyline points="${path(points)}" fill="none" stroke="#bbb"/>`),
    ...named.flatMap(({ strategy, points }) => {
      // Names never lie on each other.
      lowest = Math.max(y(points.at(-1)!.accuracy), lowest + 16);
      const name = `<text x="${WIDTH - RIGHT + 8}" y="${lowest.toFixed(1)}" fill="${NAMED[strategy]}" dominant-baseline="middle">${strategy}</text>`;
      const line = `<polyline points="${path(points)}" fill="none" stroke="${NAMED[strategy]}" stroke-width="2.5"/>`;
      return [line, name];
    }),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13" role="img" aria-label="Accuracy by labels on ${title}">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<text x="${LEFT}" y="18" font-size="14">Accuracy on held-out items by labels: ${title}</text>
${grid.join('\n')}
<text x="${(WIDTH - RIGHT + LEFT) / 2}" y="${HEIGHT - 6}" text-anchor="middle">labels (grey: the other strategies)</text>
${drawn.join('\n')}
</svg>
`;
}
