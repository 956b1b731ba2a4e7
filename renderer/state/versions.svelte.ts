/**
 * Model versions: the list, the one whose card is open, the one it is compared with, and
 * the two acts that change which one is live.
 */
import type { VersionData } from '../../main/api.ts';
import type { Desk } from './desk.svelte.ts';

export class Versions {
  list = $state.raw<VersionData[] | null>(null);
  /** Encoders that a fine-tuning run made. */
  #tuned = $state.raw<ReadonlySet<number>>(new Set());
  #chosen = $state<number | null>(null);
  comparedWith = $state<number | null>(null);
  /** The open card: the chosen version, or the live one. */
  selected = $derived(
    this.list?.find((v) => v.version === this.#chosen) ?? this.list?.find((v) => v.live) ?? this.list?.[0] ?? null,
  );
  other = $derived(this.list?.find((v) => v.version === this.comparedWith && v !== this.selected) ?? null);
  live = $derived(this.list?.find((v) => v.live) ?? null);
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
    desk.watch(['versions', 'annotations', 'project'], () => {
      if (desk.view === 'versions') void this.refetch();
    });
  }

  async refetch(): Promise<void> {
    if (this.#desk.status === null) return;
    const [list, encoders] = await Promise.all([
      this.#desk.try((api) => api.versions.list()),
      this.#desk.try((api) => api.encoders.list()),
    ]);
    if (encoders) this.#tuned = new Set(encoders.filter(({ tuned }) => tuned).map(({ version }) => version));
    this.#take(list);
  }

  /** Whether it stands on networks of a fine-tuning run. */
  isTuned({ encoder }: VersionData): boolean {
    return this.#tuned.has(encoder);
  }

  select(version: number): void {
    this.#chosen = version;
  }

  step(direction: 1 | -1): void {
    const list = this.list ?? [];
    const at = list.findIndex((v) => v === this.selected);
    const to = list[at + direction];
    if (to) this.#chosen = to.version;
  }

  async promote(): Promise<void> {
    const version = this.selected;
    if (version === null || version.live) return;
    this.#take(await this.#desk.try((api) => api.versions.promote({ version: version.version })));
  }

  async rollback(): Promise<void> {
    this.#chosen = null;
    this.#take(await this.#desk.try((api) => api.versions.rollback()));
  }

  #take(list: VersionData[] | undefined): void {
    if (list) this.list = list.toSorted((a, b) => b.version - a.version);
  }
}
