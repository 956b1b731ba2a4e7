/**
 * How long work still takes, judged by its own pace: by what was done in the last minute.
 * Says nothing before it has watched for a while, nor just after a standstill. Times are
 * handed in, in milliseconds of one clock.
 */
interface Point {
  at: number;
  done: number;
}

const WATCHED_MS = 60_000;
const LEAST_MS = 6_000;

export class Pace {
  #points: Point[] = [];

  /** Takes note that so much was done at that time. */
  observe(at: number, done: number): void {
    const last = this.#points.at(-1);
    if (last && done < last.done) this.#points = [];
    if (last?.done === done) return;
    this.#points.push({ at, done });
    while (this.#points.length > 2 && at - this.#points[1].at >= WATCHED_MS) this.#points.shift();
  }

  /** It stood still, or something else began: what was seen before says nothing. */
  interrupt(): void {
    this.#points = [];
  }

  /** Milliseconds until `total` is done; null where too little was seen. */
  left(total: number): number | null {
    const first = this.#points[0];
    const last = this.#points.at(-1);
    if (first === undefined || last === undefined || last.at - first.at < LEAST_MS) return null;
    return (Math.max(0, total - last.done) * (last.at - first.at)) / (last.done - first.done);
  }
}
