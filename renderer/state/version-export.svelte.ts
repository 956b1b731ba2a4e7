/**
 * A version on its way into a file: where to, whole or smaller, how far the job is, and
 * what the smaller one costs. The dialog may be closed meanwhile: the job goes on.
 */
import type { JobData } from '../../main/api.ts';
import type { VersionExported } from '../../main/api-version-export.ts';
import { Trouble } from '../engine.ts';
import { Attempt } from './attempt.svelte.ts';
import type { Desk } from './desk.svelte.ts';

export class VersionExport extends Attempt {
  version = $state(0);
  file = $state('');
  int8 = $state(true);
  job = $state.raw<JobData | null>(null);
  running = $derived(this.job?.state === 'queued' || this.job?.state === 'running');
  done = $derived(this.job?.state === 'done' ? (this.job.result as unknown as VersionExported) : null);
  readonly #desk: Desk;
  #id: string | null = null;

  constructor(desk: Desk) {
    super();
    this.#desk = desk;
    desk.watch(['jobs'], () => void this.#refetch());
  }

  begin(version: number): void {
    if (this.#desk.status === null) return;
    if (!this.running && (version !== this.version || this.done !== null)) {
      this.version = version;
      this.file = this.#desk.fileFor(`-${version}.onnx`);
      this.job = null;
      this.trouble = null;
    }
    this.#desk.dialog = 'export-version';
  }

  async save(): Promise<void> {
    const asked = { version: this.version, file: this.file.trim(), int8: this.int8 };
    this.job = null;
    await this.attempt(async () => {
      this.#id = (await this.#desk.engine.call((api) => api.versions.export(asked))).job;
    });
    await this.#refetch();
  }

  async #refetch(): Promise<void> {
    if (this.#id === null) return;
    const jobs = await this.#desk.try((api) => api.jobs.list());
    this.job = jobs?.find(({ id }) => id === this.#id) ?? this.job;
    const error = this.job?.error;
    if (error) this.trouble = new Trouble(error.code, error.message, error.hint);
    if (!this.running) this.#id = null;
  }
}
