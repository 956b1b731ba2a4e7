/**
 * Geometry and grey values of the image viewer: pure functions over a view, no DOM. A view
 * is a zoom (1 = the image fits) and a shift of the image's centre in screen pixels.
 */
export interface View {
  zoom: number;
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

export const FITTED: View = { zoom: 1, x: 0, y: 0 };
const MOST = 16;

/** The image's size on screen when it just fits into the stage; never larger than `enlarge` times its pixels. */
export function fit(image: Size, stage: Size, enlarge = 4): Size {
  if (image.width <= 0 || image.height <= 0) return { width: 0, height: 0 };
  const scale = Math.min(stage.width / image.width, stage.height / image.height, enlarge);
  return { width: image.width * scale, height: image.height * scale };
}

/** Zooms by `factor` so that the image point under (px, py), measured from the stage's centre, stays where it is. */
export function zoomAt(view: View, factor: number, px: number, py: number): View {
  const zoom = Math.min(MOST, Math.max(1, view.zoom * factor));
  if (zoom === 1) return FITTED;
  const ratio = zoom / view.zoom;
  return { zoom, x: px - (px - view.x) * ratio, y: py - (py - view.y) * ratio };
}

/** Keeps the image from leaving the stage: its centre may go no farther than the edge that would then show. */
export function clampPan(view: View, fitted: Size, stage: Size): View {
  const reach = (shown: number, room: number) => Math.max(0, (shown * view.zoom - room) / 2);
  const mx = reach(fitted.width, stage.width);
  const my = reach(fitted.height, stage.height);
  return { zoom: view.zoom, x: Math.min(mx, Math.max(-mx, view.x)), y: Math.min(my, Math.max(-my, view.y)) };
}

/** A window over grey values: both 1 = as stored. */
export interface GreyWindow {
  brightness: number;
  contrast: number;
  inverted: boolean;
}

export const PLAIN: GreyWindow = { brightness: 1, contrast: 1, inverted: false };

/** The window with both values kept where something can still be seen, rounded so that steps return to 1. */
export function adjust(grey: GreyWindow, brighter: number, harder: number): GreyWindow {
  const keep = (x: number) => Math.round(Math.min(3, Math.max(0.25, x)) * 100) / 100;
  return { ...grey, brightness: keep(grey.brightness + brighter), contrast: keep(grey.contrast + harder) };
}

/** As a CSS filter; `none` when plain. */
export function filterOf(grey: GreyWindow): string {
  const parts: string[] = [];
  if (grey.inverted) parts.push('invert(1)');
  if (grey.brightness !== 1) parts.push(`brightness(${grey.brightness})`);
  if (grey.contrast !== 1) parts.push(`contrast(${grey.contrast})`);
  return parts.length === 0 ? 'none' : parts.join(' ');
}
