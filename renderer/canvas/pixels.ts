/**
 * Images kept decoded, by address, so that the next item is on screen in the frame after a
 * key press: the element that was decoded is the element that is shown. The least recently
 * used ones are let go.
 */
export interface Pixels {
  element: HTMLImageElement;
  /** Resolves when the element can be painted without waiting; rejects when the pixels cannot be had. */
  ready: Promise<void>;
  decoded: boolean;
}

const KEPT = 28;
const kept = new Map<string, Pixels>();

/** The image at `url`, being decoded or decoded; asking keeps it. */
export function pixels(url: string): Pixels {
  const known = kept.get(url);
  if (known) {
    kept.delete(url);
    kept.set(url, known);
    return known;
  }
  const element = new Image();
  element.draggable = false;
  element.decoding = 'sync';
  element.src = url;
  const entry: Pixels = { element, decoded: false, ready: Promise.resolve() };
  entry.ready = element.decode().then(
    () => void (entry.decoded = true),
    (error: unknown) => {
      kept.delete(url);
      throw error;
    },
  );
  entry.ready.catch(() => undefined);
  kept.set(url, entry);
  for (const [oldest, value] of kept) {
    if (kept.size <= KEPT) break;
    if (!value.element.isConnected) kept.delete(oldest);
  }
  return entry;
}
