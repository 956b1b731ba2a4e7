/**
 * The engine's side of the report on the version in use: asks compute for it when a training
 * has made the one on record outdated, and keeps it, so that it is there at once after a
 * restart. One report is made at a time; whoever asks meanwhile waits for that one.
 */
import type { EvidenceReportData } from './api-evidence.ts';
import type { ReportBody } from './compute-api.ts';
import { withRetries, type ComputeProcess } from './compute-process.ts';
import type { ChangeKind } from './loop.ts';
import type { ProjectStore } from './store/index.ts';

export interface ReportParts {
  store: ProjectStore;
  compute: ComputeProcess;
  changed(kind: ChangeKind): void;
  /** A seed of the project for work of this name. */
  seed(name: string): number;
}

/** The accuracy that is aimed at unless the expert sets another. */
const TARGET = 0.9;
/** A compute process that dies is tried again this often. */
const TRIES = 2;

export class ReportDesk {
  readonly #parts: ReportParts;
  #running: Promise<void> | null = null;
  /** What a report was last tried for: what failed is not tried again by itself. */
  #tried = '';

  constructor(parts: ReportParts) {
    this.#parts = parts;
  }

  get target(): number {
    return (this.#parts.store.settings.get('target') as number | null | undefined) ?? TARGET;
  }

  /** The newest report, of whichever version; null before the first. */
  newest(): EvidenceReportData | null {
    const record = this.#parts.store.reports.newest('evidence');
    if (!record) return null;
    const { points: _points, ...body } = record.body as ReportBody;
    return { ...body, at: record.at };
  }

  /** Begins a report where a training or a promotion came after the last. Cheap where there is nothing to do. */
  catchUp(): void {
    const { versions } = this.#parts.store;
    const [live, newest] = [versions.live(), versions.newest()];
    if (this.#running || !live || !newest) return;
    const key = `${live.version} ${newest.version}`;
    if (key === this.#tried) return;
    this.#tried = key;
    const record = this.#parts.store.reports.newest('evidence');
    const trainedOn = (newest.metrics as { sequence: number }).sequence;
    if (record?.version === live.version && record.sequence >= trainedOn) return;
    // Somebody who asks for the report is told what went wrong. Another version may have come meanwhile.
    void this.upToDate().then(
      () => this.catchUp(),
      () => undefined,
    );
  }

  /** The report as things stand, made anew where an act, a version or the target came after the last. Cancelling ends the waiting and the work. */
  async upToDate(signal?: AbortSignal): Promise<EvidenceReportData | null> {
    while (this.#running) await this.#running.catch(() => undefined);
    if (this.#isOutdated()) {
      this.#running = this.#make(signal).finally(() => {
        this.#running = null;
      });
      await this.#running;
    }
    return this.newest();
  }

  /** Sets what the forecast aims at; the next report aims there. */
  aimAt(target: number, who: string): void {
    const { store } = this.#parts;
    store.recorded(
      { who, call: 'evidence.setTarget' },
      () => store.settings.set('target', target),
      () => ({ target }),
    );
  }

  #isOutdated(): boolean {
    const { versions, annotations } = this.#parts.store;
    const live = versions.live();
    const newest = this.newest();
    if (!live) return false;
    return (
      newest?.modelVersion !== live.version ||
      newest.sequence !== annotations.head().sequence ||
      newest.forecast.target !== this.target
    );
  }

  async #make(signal?: AbortSignal): Promise<void> {
    const { store, compute, changed } = this.#parts;
    const options = { seed: this.#parts.seed('report'), target: this.target };
    let body = null as ReportBody | null;
    await withRetries(
      TRIES,
      () => false,
      () =>
        compute.run(
          (client, call) => client.report(options, call),
          (event) => {
            if (event.kind === 'reported') ({ body } = event);
          },
          signal,
        ),
    );
    if (body === null) return;
    const { modelVersion: version, sequence, seed } = body;
    store.reports.add({ kind: 'evidence', version, sequence, seed, body });
    changed('versions');
  }
}
