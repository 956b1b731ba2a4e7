/**
 * What takes the room in a package, and whether it keeps to the budget: 250 MB, unpacked
 * where nothing is compressed on the user's disk, and as a download otherwise.
 */
import { statSync } from 'node:fs';
import type { PackedFile } from './contents.ts';
import { PackagingTrouble } from './platforms.ts';

export const BUDGET_BYTES = 250e6;

/** What each part is, by where its files lie. The first that fits counts. */
const PARTS: [name: string, pattern: RegExp][] = [
  ['Node', /(^|\/)node\//],
  ['ONNX Runtime', /(^|\/)node_modules\/onnxruntime/],
  ['sharp and libvips', /(^|\/)node_modules\/(sharp|@img|detect-libc|semver)/],
  ['tokenizers', /(^|\/)node_modules\/tokenizers/],
  ['SQLite', /(^|\/)node_modules\/better-sqlite3/],
  ['engine', /(^|\/)out\/main\//],
  ['desk', /(^|\/)out\/renderer\//],
  ['shell', /(^|\/)out\/(shell|preload)\//],
];

export interface PartSize {
  part: string;
  files: number;
  sizeBytes: number;
}

export const sizeOf = ({ source }: PackedFile): number =>
  typeof source === 'string' ? statSync(source).size : source.length;

/** Parts with their sizes, the largest first. What fits none is “notices and the rest”. */
export function partSizes(files: readonly { path: string; sizeBytes: number }[]): PartSize[] {
  const parts = new Map<string, PartSize>();
  for (const { path, sizeBytes } of files) {
    const part = PARTS.find(([, pattern]) => pattern.test(path))?.[0] ?? 'notices and the rest';
    const sum = parts.get(part) ?? { part, files: 0, sizeBytes: 0 };
    parts.set(part, { part, files: sum.files + 1, sizeBytes: sum.sizeBytes + sizeBytes });
  }
  return [...parts.values()].sort((a, b) => b.sizeBytes - a.sizeBytes);
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);

/** The table as text, for a terminal. */
export function sizeTable(parts: readonly PartSize[]): string {
  const total = parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const row = (sizeBytes: number, part: string, files: number | string) =>
    `${megabytes(sizeBytes).padStart(8)} MB  ${part.padEnd(22)} ${files} files`;
  const files = parts.reduce((sum, one) => sum + one.files, 0);
  return [...parts.map((one) => row(one.sizeBytes, one.part, one.files)), row(total, 'in all', files)].join('\n');
}

/** Ends the build when `what` is larger than it may be. */
export function keepToBudget(what: string, sizeBytes: number, budget = BUDGET_BYTES): void {
  if (sizeBytes <= budget) return;
  throw new PackagingTrouble(`${what} takes ${megabytes(sizeBytes)} MB; it may take ${megabytes(budget)} MB.`);
}
