/**
 * Draws simulated white blood cells on a stained smear. Nothing here is a photograph: a
 * picture is absorbance added up per pixel (Beer–Lambert), so stains overlap as they do on
 * glass. The four kinds differ in nucleus, cytoplasm and granules, every trait varies
 * continuously, and a share of the cells leans towards another kind, so that some cannot
 * be told apart by anybody. Pure: same generator state, same pixels.
 */
import type { Rng } from '../../main/domain/rng.ts';

export const CELL_KINDS = ['lymphocyte', 'monocyte', 'neutrophil', 'eosinophil'] as const;
export type CellKind = (typeof CELL_KINDS)[number];

/** Side of every picture, in pixels; 7.9 of them are a micrometre. */
export const SIDE = 176;

/** Absorbance of red, green and blue light. */
type Stain = readonly [number, number, number];

const NUCLEUS: Stain = [0.95, 1.5, 0.5];
const RED_CELL: Stain = [0.06, 0.33, 0.33];
const BASOPHILIC: Stain = [0.42, 0.27, 0.04];
const GREYISH: Stain = [0.25, 0.28, 0.13];
const PALE: Stain = [0.06, 0.16, 0.09];
const FINE_GRANULE: Stain = [0.24, 0.5, 0.18];
const EOSIN_GRANULE: Stain = [0.1, 0.66, 0.9];

/** What one slide does to all its pictures: staining, lamp and focus. */
export interface Slide {
  name: string;
  haematoxylin: number;
  eosin: number;
  lamp: Stain;
  /** Direction and strength of uneven light. */
  tilt: [number, number];
  /** Standard deviation of the blur, in pixels. */
  focus: number;
  redCells: number;
}

/** The traits that make a kind; all of them continuous, so that kinds can lean towards one another. */
interface Traits {
  /** Radius of the cell, pixels. */
  radius: number;
  /** Radius of the whole nucleus as a share of the cell's. */
  nucleus: number;
  lobes: number;
  /** 0: lobes lie upon each other (round nucleus); 1: apart, joined by strands. */
  parting: number;
  /** How far the lobes bend around, as a share of a turn. */
  bend: number;
  chromatin: number;
  basophilic: number;
  greyish: number;
  fine: number;
  coarse: number;
  vacuoles: number;
}

/** Mean and standard deviation of every trait, by kind. */
// prettier-ignore
const TRAITS: Record<CellKind, Record<keyof Traits, readonly [number, number]>> = {
  lymphocyte: {
    radius: [46, 5.5], nucleus: [0.78, 0.07], lobes: [1.6, 0.5], parting: [0.12, 0.09], bend: [0.2, 0.08], chromatin: [0.55, 0.14],
    basophilic: [0.75, 0.22], greyish: [0.15, 0.14], fine: [0.06, 0.06], coarse: [0, 0.015], vacuoles: [0.4, 0.6],
  },
  monocyte: {
    radius: [62, 6], nucleus: [0.64, 0.07], lobes: [3.4, 0.5], parting: [0.56, 0.13], bend: [0.36, 0.1], chromatin: [0.38, 0.14],
    basophilic: [0.28, 0.18], greyish: [0.85, 0.22], fine: [0.2, 0.13], coarse: [0, 0.02], vacuoles: [2.6, 1.6],
  },
  neutrophil: {
    radius: [54, 5], nucleus: [0.62, 0.06], lobes: [3.6, 0.75], parting: [0.82, 0.17], bend: [0.62, 0.14], chromatin: [0.6, 0.14],
    basophilic: [0.06, 0.07], greyish: [0.2, 0.14], fine: [0.62, 0.2], coarse: [0.04, 0.06], vacuoles: [0.3, 0.5],
  },
  eosinophil: {
    radius: [56, 5], nucleus: [0.59, 0.06], lobes: [2.4, 0.5], parting: [0.86, 0.15], bend: [0.34, 0.12], chromatin: [0.55, 0.14],
    basophilic: [0.07, 0.08], greyish: [0.12, 0.12], fine: [0.3, 0.18], coarse: [0.66, 0.26], vacuoles: [0.3, 0.5],
  },
};

/** How often a cell leans towards another kind, and how far at most. */
const LEANING = { share: 0.14, least: 0.2, most: 0.5 };

export function drawSlide(rng: Rng, name: string): Slide {
  const around = (mean: number, spread: number) => mean + spread * Math.max(-2, Math.min(2, rng.normal()));
  const warmth = around(0, 0.02);
  return {
    name,
    haematoxylin: around(1, 0.1),
    eosin: around(1, 0.13),
    lamp: [241 * (1 + warmth), 236 + around(0, 2), 231 * (1 - warmth)],
    tilt: [around(0, 0.035), around(0, 0.035)],
    focus: Math.max(0.35, around(0.75, 0.28)),
    redCells: Math.round(around(9, 2)),
  };
}

function drawTraits(rng: Rng, kind: CellKind): Traits {
  const draw = (of: CellKind) =>
    Object.fromEntries(
      Object.entries(TRAITS[of]).map(([trait, [mean, spread]]) => [trait, Math.max(0, mean + spread * rng.normal())]),
    ) as unknown as Traits;
  const traits = draw(kind);
  if (rng.next() >= LEANING.share) return traits;
  const others = CELL_KINDS.filter((other) => other !== kind);
  const towards = draw(others[rng.int(others.length)]);
  const share = LEANING.least + (LEANING.most - LEANING.least) * rng.next();
  for (const trait of Object.keys(traits) as (keyof Traits)[]) {
    traits[trait] += share * (towards[trait] - traits[trait]);
  }
  return traits;
}

/** Smooth noise in [0, 1] of unit feature size: a random lattice, interpolated. */
function createNoise(rng: Rng): (x: number, y: number) => number {
  const size = 64;
  const lattice = Float32Array.from({ length: size * size }, () => rng.next());
  const at = (i: number, j: number) => lattice[(i & 63) + size * (j & 63)];
  return (x, y) => {
    const i = Math.floor(x);
    const j = Math.floor(y);
    const u = (x - i) * (x - i) * (3 - 2 * (x - i));
    const v = (y - j) * (y - j) * (3 - 2 * (y - j));
    return (at(i, j) * (1 - u) + at(i + 1, j) * u) * (1 - v) + (at(i, j + 1) * (1 - u) + at(i + 1, j + 1) * u) * v;
  };
}

/** 0 below `low`, 1 above `high`, smooth between. */
function ramp(low: number, high: number, x: number): number {
  const t = Math.max(0, Math.min(1, (x - low) / (high - low)));
  return t * t * (3 - 2 * t);
}

/** A closed outline around a centre: radius by direction, wavy. */
interface Outline {
  x: number;
  y: number;
  radius: number;
  waves: [amplitude: number, phase: number][];
}

function drawOutline(rng: Rng, x: number, y: number, radius: number, wobble: number): Outline {
  const waves = [2, 3, 4, 5].map((k): [number, number] => [(wobble * rng.normal()) / k, 2 * Math.PI * rng.next()]);
  return { x, y, radius, waves };
}

/** Distance from the centre as a share of the outline's radius in that direction. */
function relative(outline: Outline, x: number, y: number): number {
  const dx = x - outline.x;
  const dy = y - outline.y;
  const angle = Math.atan2(dy, dx);
  let stretch = 1;
  for (let k = 0; k < outline.waves.length; k++) {
    const [amplitude, phase] = outline.waves[k];
    stretch += amplitude * Math.cos((k + 2) * angle + phase);
  }
  return Math.hypot(dx, dy) / (outline.radius * stretch);
}

/** Absorbance so far, `SIDE × SIDE × 3`. */
class Glass {
  readonly absorbance = new Float32Array(SIDE * SIDE * 3);

  add(x: number, y: number, stain: Stain, amount: number): void {
    const at = 3 * (y * SIDE + x);
    for (let c = 0; c < 3; c++) this.absorbance[at + c] += amount * stain[c];
  }

  dim(x: number, y: number, keep: number): void {
    const at = 3 * (y * SIDE + x);
    for (let c = 0; c < 3; c++) this.absorbance[at + c] *= keep;
  }

  /** Calls `paint` for the pixels of a square around a point. */
  around(x: number, y: number, reach: number, paint: (px: number, py: number) => void): void {
    const [left, right] = [Math.max(0, Math.floor(x - reach)), Math.min(SIDE - 1, Math.ceil(x + reach))];
    const [top, bottom] = [Math.max(0, Math.floor(y - reach)), Math.min(SIDE - 1, Math.ceil(y + reach))];
    for (let py = top; py <= bottom; py++) for (let px = left; px <= right; px++) paint(px, py);
  }
}

function paintRedCells(glass: Glass, rng: Rng, slide: Slide, cell: Outline): void {
  for (let n = 0; n < slide.redCells; n++) {
    const radius = 27 + 2.2 * rng.normal();
    const [x, y] = [rng.next() * (SIDE + 30) - 15, rng.next() * (SIDE + 30) - 15];
    if (Math.hypot(x - cell.x, y - cell.y) < cell.radius + radius * 0.72) continue;
    const outline = drawOutline(rng, x, y, radius, 0.07);
    const pallor = 0.42 + 0.16 * rng.normal();
    const depth = slide.eosin * (0.95 + 0.1 * rng.normal());
    glass.around(x, y, radius * 1.35, (px, py) => {
      const r = relative(outline, px, py);
      if (r > 1.1) return;
      const edge = 1 - ramp(0.94, 1.05, r);
      const rim = 1 + 0.16 * Math.exp(-(((r - 0.86) / 0.1) ** 2));
      glass.add(px, py, RED_CELL, depth * edge * rim * (1 - pallor * Math.exp(-((r / 0.42) ** 2))));
    });
  }
}

function paintPlatelets(
  glass: Glass,
  rng: Rng,
  slide: Slide,
  cell: Outline,
  noise: (x: number, y: number) => number,
): void {
  for (let n = rng.int(4); n > 0; n--) {
    const [x, y] = [rng.next() * SIDE, rng.next() * SIDE];
    if (Math.hypot(x - cell.x, y - cell.y) < cell.radius + 10) continue;
    const outline = drawOutline(rng, x, y, 7 + 2 * rng.next(), 0.2);
    glass.around(x, y, 12, (px, py) => {
      const edge = 1 - ramp(0.7, 1.15, relative(outline, px, py));
      glass.add(px, py, FINE_GRANULE, slide.haematoxylin * edge * (0.5 + 0.9 * noise(px / 1.6, py / 1.6)));
    });
  }
}

interface Blob {
  x: number;
  y: number;
  radius: number;
}

/** The nucleus: lobes along a bent line inside the cell, closer or further apart. */
function drawLobes(rng: Rng, traits: Traits, cell: Outline): Blob[] {
  const whole = traits.nucleus * cell.radius;
  const count = Math.max(1, Math.min(5, Math.round(traits.lobes + 0.35 * rng.normal())));
  const start = 2 * Math.PI * rng.next();
  const shift = (0.9 - traits.nucleus) * cell.radius * 0.45 * rng.next();
  const [cx, cy] = [cell.x + shift * Math.cos(start + 1), cell.y + shift * Math.sin(start + 1)];
  if (count === 1) return [{ x: cx, y: cy, radius: whole }];
  const turn = 2 * Math.PI * Math.min(0.85, traits.bend + 0.06 * count);
  const spread = Math.min(1.15, traits.parting);
  const orbit = whole * (0.22 + 0.5 * spread);
  return Array.from({ length: count }, (_, i) => {
    const angle = start + turn * (i / (count - 1) - 0.5) * (1 + 0.12 * rng.normal());
    const reach = orbit * (1 + 0.1 * rng.normal());
    const radius = whole * (0.86 - 0.42 * Math.min(1, spread) - 0.035 * (count - 2)) * (1 + 0.1 * rng.normal());
    return { x: cx + reach * Math.cos(angle), y: cy + reach * Math.sin(angle), radius };
  });
}

/** How deep inside the nucleus a point lies: above 1 is inside. Lobes melt into each other, strands join neighbours. */
function nucleusField(lobes: Blob[], x: number, y: number): number {
  let field = 0;
  for (const lobe of lobes) {
    const q = ((x - lobe.x) ** 2 + (y - lobe.y) ** 2) / lobe.radius ** 2;
    if (q < 6) field += Math.exp(1.9 * (1 - q));
  }
  for (let i = 1; i < lobes.length; i++) {
    const [a, b] = [lobes[i - 1], lobes[i]];
    const [ux, uy] = [b.x - a.x, b.y - a.y];
    const length = ux * ux + uy * uy || 1;
    const t = Math.max(0, Math.min(1, ((x - a.x) * ux + (y - a.y) * uy) / length));
    const q = ((x - a.x - t * ux) ** 2 + (y - a.y - t * uy) ** 2) / 11;
    if (q < 5) field += Math.exp(1.4 * (1 - q)) * 0.8;
  }
  return field;
}

function paintWhiteCell(
  glass: Glass,
  rng: Rng,
  slide: Slide,
  traits: Traits,
  cell: Outline,
  noise: (x: number, y: number) => number,
): void {
  const lobes = drawLobes(rng, traits, cell);
  const reach = cell.radius * 1.3;
  const { haematoxylin, eosin } = slide;
  const inside = (x: number, y: number) => 1 - ramp(0.95, 1.04, relative(cell, x, y));
  const bare = (x: number, y: number) => 1 - ramp(0.75, 1.35, nucleusField(lobes, x, y));

  glass.around(cell.x, cell.y, reach, (x, y) => {
    const within = inside(x, y);
    if (within <= 0) return;
    glass.dim(x, y, 1 - 0.9 * within);
    const cloud = 0.75 + 0.5 * noise(x / 11, y / 11);
    const rim = 1 + 0.35 * ramp(0.75, 1, relative(cell, x, y));
    glass.add(x, y, PALE, eosin * within * cloud);
    glass.add(x, y, BASOPHILIC, haematoxylin * within * cloud * rim * traits.basophilic);
    glass.add(x, y, GREYISH, haematoxylin * within * traits.greyish * (0.7 + 0.6 * noise(x / 3.9, y / 3.9)));
  });

  for (let n = Math.round(traits.vacuoles); n > 0; n--) {
    const [angle, far] = [2 * Math.PI * rng.next(), cell.radius * (0.45 + 0.4 * rng.next())];
    const [vx, vy, size] = [cell.x + far * Math.cos(angle), cell.y + far * Math.sin(angle), 2.5 + 2.8 * rng.next()];
    glass.around(vx, vy, size + 2, (x, y) =>
      glass.dim(x, y, 1 - 0.6 * (1 - ramp(size - 1, size + 1, Math.hypot(x - vx, y - vy)))),
    );
  }

  const sprinkle = (count: number, size: number, stain: Stain, depth: number) => {
    for (let n = Math.round(count); n > 0; n--) {
      const [angle, far] = [2 * Math.PI * rng.next(), cell.radius * 0.96 * Math.sqrt(rng.next())];
      const [gx, gy] = [cell.x + far * Math.cos(angle), cell.y + far * Math.sin(angle)];
      const keep = inside(gx, gy) * bare(gx, gy) * (0.7 + 0.6 * rng.next()) * depth;
      const radius = size * (0.75 + 0.5 * rng.next());
      if (keep < 0.05) continue;
      glass.around(gx, gy, radius + 1.5, (x, y) => {
        glass.add(x, y, stain, keep * (1 - ramp(radius - 0.9, radius + 0.9, Math.hypot(x - gx, y - gy))));
      });
    }
  };
  const area = (cell.radius / 54) ** 2;
  sprinkle(330 * area * traits.fine, 1.45, FINE_GRANULE, 0.42 * haematoxylin);
  sprinkle(230 * area * traits.coarse, 3.2, EOSIN_GRANULE, 0.62 * eosin);

  glass.around(cell.x, cell.y, reach, (x, y) => {
    const field = nucleusField(lobes, x, y);
    if (field < 0.6) return;
    const within = ramp(0.8, 1.3, field) * inside(x, y);
    const clump = ramp(0.25, 0.75, 0.6 * noise(x / 5.2 + 9, y / 5.2) + 0.4 * noise(x / 2.5, y / 2.5 + 7));
    const edge = 1 + 0.18 * (1 - ramp(1.2, 3, field));
    glass.dim(x, y, 1 - 0.75 * within);
    glass.add(
      x,
      y,
      NUCLEUS,
      haematoxylin * within * edge * (0.92 - 0.42 * traits.chromatin + 0.84 * traits.chromatin * clump),
    );
  });
}

/** One picture: a white cell of `kind` among red cells, as that slide shows it. Three bytes a pixel. */
export function drawCell(rng: Rng, kind: CellKind, slide: Slide): Uint8Array {
  const noise = createNoise(rng);
  const traits = drawTraits(rng, kind);
  const middle = () => SIDE / 2 + 5 * Math.max(-2, Math.min(2, rng.normal()));
  const cell = drawOutline(rng, middle(), middle(), Math.max(33, Math.min(76, traits.radius)), 0.075);
  const glass = new Glass();
  paintRedCells(glass, rng, slide, cell);
  paintPlatelets(glass, rng, slide, cell, noise);
  paintWhiteCell(glass, rng, slide, traits, cell, noise);

  const grain = Float32Array.from({ length: 4099 }, () => 2.1 * rng.normal());
  const pixels = new Uint8Array(SIDE * SIDE * 3);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const light =
        1 +
        slide.tilt[0] * (x / SIDE - 0.5) * 2 +
        slide.tilt[1] * (y / SIDE - 0.5) * 2 -
        0.03 * noise(x / 40, y / 40 + 31);
      for (let c = 0; c < 3; c++) {
        const at = 3 * (y * SIDE + x) + c;
        const value = slide.lamp[c] * light * Math.exp(-glass.absorbance[at]) + grain[(at * 7) % 4099];
        pixels[at] = Math.max(0, Math.min(255, value));
      }
    }
  }
  return pixels;
}
