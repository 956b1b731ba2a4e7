/**
 * What the shell remembers from one start to the next, in one small file of the app's data
 * folder: where the window was, which projects were open lately, the language, and how often
 * in a row it did not end as it should. A file that cannot be read is the same as none; one
 * that cannot be written costs the memory and nothing else.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import * as v from 'valibot';
import { loggable } from '../main/domain/errors.ts';

const Whole = v.pipe(v.number(), v.safeInteger());
const BoundsShape = v.object({ x: Whole, y: Whole, width: Whole, height: Whole });
export type Bounds = v.InferOutput<typeof BoundsShape>;

const Memory = v.object({
  bounds: v.optional(v.nullable(BoundsShape), null),
  maximized: v.optional(v.boolean(), false),
  recent: v.optional(v.array(v.object({ dir: v.string(), name: v.string() })), []),
  language: v.optional(v.nullable(v.picklist(['en', 'zh-CN'])), null),
  /** Starts in a row that did not end by quitting; the present one counts until it does. */
  unfinished: v.optional(Whole, 0),
});
type Memory = v.InferOutput<typeof Memory>;

const MOST_RECENT = 10;
const LEAST: Pick<Bounds, 'width' | 'height'> = { width: 900, height: 600 };
const FIRST: Pick<Bounds, 'width' | 'height'> = { width: 1280, height: 800 };
/** So much of a window must be on a screen for somebody to take hold of it. */
const GRIP = { width: 120, height: 40 };

export class Remembered {
  readonly #file: string;
  #memory: Memory;

  constructor(file: string) {
    this.#file = file;
    this.#memory = read(file);
  }

  get recent(): Memory['recent'] {
    return this.#memory.recent;
  }

  get language(): Memory['language'] {
    return this.#memory.language;
  }

  get window(): Pick<Memory, 'bounds' | 'maximized'> {
    return this.#memory;
  }

  /** Counts this start as unfinished, and says how many before it were. */
  begin(): number {
    const before = this.#memory.unfinished;
    this.keep({ unfinished: before + 1 });
    return before;
  }

  end(): void {
    this.keep({ unfinished: 0 });
  }

  opened(dir: string, name: string): void {
    const others = this.#memory.recent.filter((entry) => entry.dir !== dir);
    this.keep({ recent: [{ dir, name }, ...others].slice(0, MOST_RECENT) });
  }

  keep(part: Partial<Memory>): void {
    this.#memory = { ...this.#memory, ...part };
    try {
      mkdirSync(dirname(this.#file), { recursive: true });
      writeFileSync(`${this.#file}.new`, JSON.stringify(this.#memory), { mode: 0o600 });
      renameSync(`${this.#file}.new`, this.#file);
    } catch (error) {
      console.error(loggable(error));
    }
  }
}

function read(file: string): Memory {
  try {
    return v.parse(Memory, JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return v.parse(Memory, {});
  }
}

/** Where the window goes: where it was, if enough of that is still on a screen and no larger than it; else centred, which `x` left out means. */
export function placeOn(screens: readonly Bounds[], was: Bounds | null): Partial<Bounds> & typeof FIRST {
  const overlap = (screen: Bounds, { x, y, width, height }: Bounds) => ({
    width: Math.min(x + width, screen.x + screen.width) - Math.max(x, screen.x),
    height: Math.min(y + height, screen.y + screen.height) - Math.max(y, screen.y),
  });
  const screen = screens.find((one) => {
    if (was === null) return false;
    const shared = overlap(one, was);
    return shared.width >= GRIP.width && shared.height >= GRIP.height && was.y >= one.y;
  });
  const { width, height } = screen ?? screens[0] ?? { ...FIRST };
  const size = {
    width: Math.min(width, Math.max(LEAST.width, was?.width ?? FIRST.width)),
    height: Math.min(height, Math.max(LEAST.height, was?.height ?? FIRST.height)),
  };
  return screen && was ? { x: was.x, y: was.y, ...size } : size;
}
