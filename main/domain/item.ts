/**
 * An item is one thing to be annotated: its image, its text, its numbers, or several of
 * them together. What an item is called (`id`) follows from its bytes, so that the same
 * bytes are the same item wherever they come from.
 */
import { createHash } from 'node:crypto';
import { hashString } from './rng.ts';

/** 16 hex digits, from the item's bytes. */
export type ItemId = string & { readonly __brand: 'ItemId' };

export interface ImagePart {
  kind: 'image';
  /** Absolute path of the original, which is never moved or changed. */
  path: string;
  sha256: string;
  sizeBytes: number;
  /** As shown, that is after the EXIF orientation. Pixels. */
  width: number;
  height: number;
  /** 'png', 'jpeg', 'webp', 'tiff', 'gif', 'bmp'. */
  format: string;
}

export interface TextPart {
  kind: 'text';
  /** The whole text, decoded; never truncated. */
  text: string;
  sha256: string;
  /** The file it came from, or null for a column of a table. */
  path: string | null;
}

export interface NumbersPart {
  kind: 'numbers';
  /** Column → measurement, category, or null where nothing was recorded. */
  values: Record<string, number | string | null>;
}

export type Part = ImagePart | TextPart | NumbersPart;
export type PartKind = Part['kind'];

/** What one import candidate is called; `external` distinguishes items that are only numbers, since equal measurements do not make two patients one. */
export function itemIdOf(parts: readonly Part[], external: string | null): ItemId {
  const digest = createHash('sha256');
  for (const part of parts) {
    digest.update(`${part.kind}\n`);
    digest.update(part.kind === 'numbers' ? JSON.stringify(part.values) : part.sha256);
    digest.update('\n');
  }
  if (external !== null && parts.every((part) => part.kind === 'numbers')) digest.update(`id\n${external}`);
  return digest.digest('hex').slice(0, 16) as ItemId;
}

/** `audit`: drawn at random to measure the model, never trained on or chosen from. */
export type Role = 'pool' | 'audit';

/** The role of everything that shares `key` (a group's name, or one item's id), from that and the project's seed alone: the same in whatever order things come. `auditShare` in [0, 1] is the expected share of keys drawn for the audit set. */
export function roleOf(key: string, seed: number, auditShare: number): Role {
  return hashString(key, hashString('audit', seed)) / 2 ** 32 < auditShare ? 'audit' : 'pool';
}

/** What a near-duplicate search needs: two items are candidates when any band is equal, and near duplicates when `similarity` of their `code`s is high enough for the kind. */
export interface Fingerprint {
  kind: 'image' | 'text';
  /** Bands for locality-sensitive hashing: signed 32-bit integers, position matters. */
  bands: number[];
  /** The whole code as hex: a perceptual hash, or a MinHash signature. */
  code: string;
}

/** One thing read from a source, before the project has seen it. */
export interface Candidate {
  id: ItemId;
  /** What the source calls it (a column, or the path relative to the source). */
  name: string;
  parts: Part[];
  group: string | null;
  /** Class names that the source gives; null where it gives none. */
  label: string[] | null;
  fingerprint: Fingerprint | null;
  /** What is known about it beside what is shown (sex, age, site): by column, where recorded. */
  attributes?: Record<string, string>;
  /** Where it came from, for a person: a path, or `table.csv:17`. */
  source: string;
}

/** Something that could not become an item, with the reason. */
export interface ImportProblem {
  source: string;
  code: import('./errors.ts').ErrorCode;
  message: string;
  hint: string;
}
