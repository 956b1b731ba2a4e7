/** Geometry of the viewer and the learning curve, against tables worked by hand. */
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { adjust, clampPan, filterOf, fit, FITTED, PLAIN, zoomAt } from '../../renderer/canvas/viewport.ts';
import { area, line, scaleTo, ticks } from '../../renderer/views/evidence/plot.ts';

describe('The image viewer', () => {
  test('fits an image whole, and enlarges a small one only so far', () => {
    expect(fit({ width: 2000, height: 1000 }, { width: 500, height: 500 })).toEqual({ width: 500, height: 250 });
    expect(fit({ width: 100, height: 200 }, { width: 1000, height: 400 })).toEqual({ width: 200, height: 400 });
    expect(fit({ width: 10, height: 10 }, { width: 500, height: 500 })).toEqual({ width: 40, height: 40 });
    expect(fit({ width: 0, height: 10 }, { width: 500, height: 500 })).toEqual({ width: 0, height: 0 });
  });

  test('keeps the point under the pointer where it is while zooming in', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1.01, max: 3, noNaN: true }),
        fc.integer({ min: -300, max: 300 }),
        fc.integer({ min: -300, max: 300 }),
        (factor, px, py) => {
          const before = { zoom: 1.5, x: 20, y: -10 };
          const after = zoomAt(before, factor, px, py);
          expect((px - after.x) / after.zoom).toBeCloseTo((px - before.x) / before.zoom, 6);
          expect((py - after.y) / after.zoom).toBeCloseTo((py - before.y) / before.zoom, 6);
        },
      ),
    );
  });

  test('never zooms out beyond the whole image, and returns to the middle there', () => {
    expect(zoomAt({ zoom: 1.2, x: 50, y: 50 }, 0.5, 10, 10)).toEqual(FITTED);
    expect(zoomAt({ zoom: 15, x: 0, y: 0 }, 4, 0, 0).zoom).toBe(16);
  });

  test('does not let the image be dragged out of sight', () => {
    const fitted = { width: 400, height: 300 };
    const stage = { width: 500, height: 300 };
    expect(clampPan({ zoom: 2, x: 999, y: -999 }, fitted, stage)).toEqual({ zoom: 2, x: 150, y: -150 });
    expect(clampPan({ zoom: 1, x: 40, y: 40 }, fitted, stage)).toEqual({ zoom: 1, x: 0, y: 0 });
  });

  test('steps the grey window back to exactly plain', () => {
    let grey = PLAIN;
    for (let i = 0; i < 7; i++) grey = adjust(grey, 0.05, -0.05);
    for (let i = 0; i < 7; i++) grey = adjust(grey, -0.05, 0.05);
    expect(grey).toEqual(PLAIN);
    expect(filterOf(grey)).toBe('none');
    expect(filterOf({ brightness: 1.1, contrast: 1, inverted: true })).toBe('invert(1) brightness(1.1)');
    expect(adjust(PLAIN, 99, -99)).toEqual({ brightness: 3, contrast: 0.25, inverted: false });
  });
});

describe('The learning curve', () => {
  test('puts ticks on round numbers', () => {
    expect(ticks(0, 212, 6)).toEqual([0, 50, 100, 150, 200]);
    expect(ticks(0.2, 1, 5)).toEqual([0.2, 0.4, 0.6, 0.8, 1]);
    expect(ticks(0, 10, 5)).toEqual([0, 2, 4, 6, 8, 10]);
    expect(ticks(3, 3, 5)).toEqual([3]);
  });

  test('scales straight and draws lines and bands', () => {
    const y = scaleTo(0, 1, 100, 0);
    expect([y(0), y(0.25), y(1)]).toEqual([100, 75, 0]);
    expect(line([])).toBe('');
    expect(
      line([
        [0, 1],
        [2, 3],
      ]),
    ).toBe('M0.0 1.0L2.0 3.0');
    expect(area([[0, 1, 2]])).toBe('');
    expect(
      area([
        [0, 9, 1],
        [5, 8, 2],
      ]),
    ).toBe('M0.0 9.0L5.0 8.0L5.0 2.0L0.0 1.0Z');
  });
});
