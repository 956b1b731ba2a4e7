/**
 * How the item is looked at: zoom and shift (again fitted for each item), the grey window
 * (kept from item to item, as at a reading station), and the text that j and k scroll.
 */
import { adjust, FITTED, PLAIN, zoomAt, type GreyWindow, type View } from '../canvas/viewport.ts';

export class Viewing {
  view = $state.raw<View>(FITTED);
  grey = $state.raw<GreyWindow>(PLAIN);
  /** The longest side of pixels that the stage can show, in steps so that addresses repeat. */
  side = $state(1024);
  #scroller: HTMLElement | null = null;

  fit(): void {
    this.view = FITTED;
  }

  zoom(factor: number): void {
    this.view = zoomAt(this.view, factor, 0, 0);
  }

  adjust(brighter: number, harder: number): void {
    this.grey = adjust(this.grey, brighter, harder);
  }

  invert(): void {
    this.grey = { ...this.grey, inverted: !this.grey.inverted };
  }

  plain(): void {
    this.grey = PLAIN;
  }

  /** The stage tells its size; pixels are asked for in steps of 512. */
  sized(width: number, height: number, ratio: number): void {
    const wanted = Math.max(width, height) * ratio;
    this.side = Math.min(4096, Math.max(512, Math.ceil(wanted / 512) * 512));
  }

  /** For the stage's element: it tells its size as long as it is there. */
  readonly measured = (stage: HTMLElement) => {
    const observer = new ResizeObserver(() => this.sized(stage.clientWidth, stage.clientHeight, devicePixelRatio));
    observer.observe(stage);
    return () => observer.disconnect();
  };

  /** The element that scrolls by keys; null when there is none. */
  scrolls(element: HTMLElement | null): void {
    this.#scroller = element;
  }

  scroll(direction: 1 | -1): void {
    this.#scroller?.scrollBy({ top: direction * this.#scroller.clientHeight * 0.4 });
  }
}
