/**
 * The engine's side of the tray: items that something is unusual about.
 */
import type { TrayEntryData } from './api-tray.ts';
import type { ItemId } from './domain/item.ts';
import type { DeskParts } from './evidence-desk.ts';

export class TrayDesk {
  readonly #parts: DeskParts;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  list(_limit: number): { total: number; entries: TrayEntryData[] } {
    return { total: 0, entries: [] };
  }

  release(_items: readonly ItemId[], _annotator: string): { total: number } {
    this.#parts.changed('queue');
    return { total: 0 };
  }
}
