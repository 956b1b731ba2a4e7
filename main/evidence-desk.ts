/**
 * The engine's side of what can be believed: the curve of versions, the newest report and
 * claim, previews of the guarantee, spot checks, subgroups and drift. What compute finds
 * out is put on record here, so that it is there at once after a restart.
 */
import { ACCOUNT } from './account.ts';
import type { ClassGuaranteeData, DriftData, EvidenceReportData, GuaranteeData } from './api-evidence.ts';
import type { IntervalData, VersionData } from './api.ts';
import { ClaimsDesk } from './claims-desk.ts';
import type { ComputeProcess } from './compute-process.ts';
import { EngineError } from './domain/errors.ts';
import { compareImports, driftReports } from './drift-desk.ts';
import type { JobControl } from './jobs.ts';
import type { ChangeKind } from './loop.ts';
import { subgroupsOf, type Subgroups } from './subgroups-desk.ts';
import { ReportDesk } from './report-desk.ts';
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
  readonly #reports: ReportDesk;

  constructor(parts: DeskParts) {
    this.#parts = parts;
    this.claims = new ClaimsDesk(parts);
    this.#reports = new ReportDesk(parts);
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

  /** The newest report on record; null before the first. */
  report(): EvidenceReportData | null {
    return this.#reports.newest();
  }

  /** The report as things stand, made now where it has to be. */
  async reportNow(signal?: AbortSignal): Promise<EvidenceReportData | null> {
    await this.#parts.ready();
    return this.#reports.upToDate(signal);
  }

  /** Something was trained, promoted or finished: what is outdated is made anew in the background. */
  catchUp(): void {
    this.#reports.catchUp();
  }

  /** Sets what the forecast aims at, and forecasts again from what was measured. */
  async setTarget(target: number, who = ACCOUNT): Promise<EvidenceReportData | null> {
    this.#reports.aimAt(target, who);
    return this.reportNow();
  }

  /** How the live version does in the groups of each attribute. */
  async subgroups(): Promise<Subgroups> {
    return subgroupsOf(this.#parts);
  }

  /** Everything is embedded: imports that nobody has looked at are compared with the training pool. */
  embedded(control: JobControl): Promise<void> {
    return compareImports(this.#parts, control);
  }

  /** Every import since the first training, latest first. */
  drift(): DriftData[] {
    return driftReports(this.#parts.store);
  }
}
