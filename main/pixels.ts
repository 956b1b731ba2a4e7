/**
 * Pixels for the window: the original file where a browser can show it, else a PNG made of
 * it; small versions for thumbnails, the last few hundred of them kept in memory. Nothing
 * is written to disk.
 */
import { EngineError } from './domain/errors.ts';
import { openPixels } from './imaging/index.ts';

/** `body` is a path to stream, or the bytes themselves. */
export interface Pixels {
  type: string;
  body: string | Uint8Array;
}

const SHOWN_BY_BROWSERS: Record<string, string> = {
  jpeg: 'image/jpeg',
  png: 'image/png',
  webp: 'image/webp',
  gif: 'image/gif',
};

const KEPT_BYTES = 48 << 20;
const LARGEST_SIDE = 4096;

export class PixelSource {
  readonly #kept = new Map<string, Pixels>();
  #keptBytes = 0;

  /** Errors: `file-damaged`, `source-unreadable`, with the path. */
  async read(image: { path: string; format: string; sha256: string }, side: number | null): Promise<Pixels> {
    const type = SHOWN_BY_BROWSERS[image.format];
    if (side === null && type !== undefined) return { type, body: image.path };
    const wanted =
      side === null || !Number.isFinite(side) ? LARGEST_SIDE : Math.min(LARGEST_SIDE, Math.max(16, Math.round(side)));
    const key = `${image.sha256}/${wanted}`;
    const kept = this.#kept.get(key);
    if (kept) {
      this.#kept.delete(key);
      this.#kept.set(key, kept);
      return kept;
    }
    const pixels = await this.#make(image.path, wanted);
    this.#keep(key, pixels);
    return pixels;
  }

  async #make(path: string, side: number): Promise<Pixels> {
    try {
      const picture = (await openPixels(path)).rotate().resize(side, side, { fit: 'inside', withoutEnlargement: true });
      const small = side <= 512;
      const body = small
        ? await picture.flatten({ background: '#000' }).jpeg({ quality: 85 }).toBuffer()
        : await picture.png({ compressionLevel: 3 }).toBuffer();
      return { type: small ? 'image/jpeg' : 'image/png', body };
    } catch (error) {
      if (error instanceof EngineError) throw error;
      throw new EngineError(
        'file-damaged',
        `The image ${path} cannot be shown.`,
        'Check whether the file is still there and opens elsewhere.',
        { path },
        error,
      );
    }
  }

  #keep(key: string, pixels: Pixels): void {
    this.#kept.set(key, pixels);
    this.#keptBytes += pixels.body.length;
    for (const [oldest, { body }] of this.#kept) {
      if (this.#keptBytes <= KEPT_BYTES) break;
      this.#kept.delete(oldest);
      this.#keptBytes -= body.length;
    }
  }
}
