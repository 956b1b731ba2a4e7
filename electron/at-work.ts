/**
 * What shows, outside the window, that the engine is at work: the bar on the taskbar, an icon
 * with the progress in the tray, and a machine that does not fall asleep meanwhile. All of it
 * goes when the work is done.
 */
import { Menu, nativeImage, powerSaveBlocker, Tray, type BrowserWindow, type NativeImage } from 'electron';
import type { WorkData } from '../main/api-shell.ts';
import type { Words } from './words.ts';

interface Parts {
  words(): Words;
  window(): BrowserWindow | null;
  show(): void;
  quit(): void;
}

/** Beyond 1 the taskbar shows that the end is not known. */
const ENDLESS = 2;
const NONE = -1;

export class AtWork {
  readonly #parts: Parts;
  #jobs: readonly WorkData[] = [];
  #tray: Tray | null = null;
  #awake: number | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Whether something runs that does not stand still. */
  get isBusy(): boolean {
    return this.#jobs.some(({ paused }) => !paused);
  }

  set(jobs: readonly WorkData[]): void {
    this.#jobs = jobs;
    this.#parts.window()?.setProgressBar(this.#bar(), { mode: this.isBusy ? 'normal' : 'paused' });
    this.#stayAwake(this.isBusy);
    this.#showTray();
  }

  /** Of the job that is furthest. */
  #bar(): number {
    const [furthest] = this.#jobs.map(({ progress }) => progress ?? ENDLESS).toSorted((a, b) => b - a);
    return furthest ?? NONE;
  }

  #stayAwake(wanted: boolean): void {
    if (wanted) this.#awake ??= powerSaveBlocker.start('prevent-app-suspension');
    else if (this.#awake !== null) {
      powerSaveBlocker.stop(this.#awake);
      this.#awake = null;
    }
  }

  /** The tray is for runs that go on without a window, and for those that take long. */
  #showTray(): void {
    const { words, show, quit, window } = this.#parts;
    const isWanted = this.#jobs.some(({ kind }) => kind === 'tune') || (this.#jobs.length > 0 && window() === null);
    if (!isWanted) {
      this.#tray?.destroy();
      this.#tray = null;
      return;
    }
    if (!this.#tray) {
      this.#tray = new Tray(icon());
      this.#tray.on('click', show);
      this.#tray.setContextMenu(
        Menu.buildFromTemplate([
          { label: words().show, click: show },
          { label: words().quit, click: quit },
        ]),
      );
    }
    const bar = this.#bar();
    const share = bar >= 0 && bar <= 1 ? ` (${Math.floor(bar * 100)} %)` : '';
    this.#tray.setToolTip(this.isBusy ? words().working + share : words().paused);
  }
}

/** A page with its margin, drawn here because a tray takes pixels. */
function icon(): NativeImage {
  const side = 32;
  const pixels = Buffer.alloc(side * side * 4);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const isPage = x >= 5 && x < 27 && y >= 2 && y < 30;
      const isLine = x >= 12 && x < 24 && [8, 9, 14, 15, 20, 21].includes(y);
      const isMargin = x >= 8 && x < 10;
      const [blue, green, red] = isLine ? [90, 80, 70] : isMargin ? [80, 120, 240] : [245, 245, 245];
      if (isPage) pixels.set([blue, green, red, 255], 4 * (y * side + x));
    }
  }
  return nativeImage.createFromBitmap(pixels, { width: side, height: side, scaleFactor: 2 });
}
