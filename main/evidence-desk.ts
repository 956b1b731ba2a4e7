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
import { ClaimsDesk } from './claims-desk.ts';
import type { ComputeProcess } from './compute-process.ts';
import { EngineError } from './domain/errors.ts';
import type { Level } from './evidence/index.ts';
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
  /** Claims, and the looks and spot checks that make and unmake them. */
  readonly claims: ClaimsDesk;
  readonly #parts: DeskParts;

  constructor(parts: DeskParts) {
    this.#parts = parts;
    this.claims = new ClaimsDesk(parts);
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

  /** What could be promised at these levels, overall and per class: a preview, not a claim. Errors: `version-unknown` before the first version. */
  async guarantee(alpha: number, delta: number): Promise<GuaranteeData & { perClass: ClassGuaranteeData[] }> {
    await this.#ready();
    const found = await this.#parts.compute.call((client, call) => client.promised({ alpha, delta }, call));
    if (!found) throw noVersion();
    return found;
  }

  /** The same for 25 α from 0.005 to 0.3. Errors: `version-unknown`. */
  async settledAt(delta: number): Promise<GuaranteeData[]> {
    await this.#ready();
    return this.#parts.compute.call((client, call) => client.promisedAtMany({ delta }, call));
  }

  async #ready(): Promise<void> {
    const { store, ready } = this.#parts;
    if (store.versions.live() === null) throw noVersion();
    await ready();
  }

  report(): EvidenceReportData | null {
    return (this.#parts.store.reports.newest('evidence')?.body ?? null) as EvidenceReportData | null;
  }

  setTarget(target: number): EvidenceReportData | null {
    this.#parts.store.settings.set('target', target);
    return this.report();
  }

  levels(): Level {
    return this.claims.levels();
  }

  setLevels(levels: Level): ClaimData | null {
    return this.claims.setLevels(levels);
  }

  claim(): ClaimData | null {
    return this.claims.claim();
  }

  spotCheck(count: number): { drawn: number } {
    return this.claims.spotCheck(count);
  }

  spotChecks(): SpotChecksData {
    return this.claims.spotChecks();
  }

  async subgroups(): Promise<{ modelVersion: number | null; columns: SubgroupColumnData[]; balanced: string | null }> {
    return { modelVersion: this.#parts.store.versions.live()?.version ?? null, columns: [], balanced: null };
  }

  drift(): DriftData[] {
    return [];
  }
}
