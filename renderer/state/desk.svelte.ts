/**
 * What every view shares: the connection, the project's status, which view is open, which
 * dialog, and the last trouble. The engine is the truth; on each change event the parts
 * that are shown are fetched again, several events at once.
 */
import type { Change, Status } from '../../main/api.ts';
import { Engine, Trouble, type Api, type ConnectionState } from '../engine.ts';

export const VIEWS = ['label', 'evidence', 'looks', 'training', 'versions', 'data'] as const;
export type View = (typeof VIEWS)[number] | 'start';
export type Dialog =
  | 'palette'
  | 'help'
  | 'name'
  | 'comment'
  | 'add-class'
  | 'rollback'
  | 'similar'
  | 'encoder'
  | 'cancel-tuning'
  | 'export-version';
type Kind = Change['kind'];
type Place = Awaited<ReturnType<Api['desk']['state']>>;

export class Desk {
  connection = $state<ConnectionState>('connecting');
  /** The program: version, the open project, where new projects go. */
  place = $state.raw<Place | null>(null);
  /** Null while no project is open. */
  status = $state.raw<Status | null>(null);
  view = $state<View>('label');
  dialog = $state<Dialog | null>(null);
  trouble = $state.raw<Trouble | null>(null);
  readonly engine: Engine;
  readonly #watchers: { kinds: readonly Kind[]; run: () => void }[] = [];
  readonly #forgetting: (() => void)[] = [];
  #due = new Set<Kind>();
  #scheduled = false;
  #refetching = false;
  #again = false;

  /** `who` is the annotator's name, '' while there is none. */
  constructor(who: () => string) {
    this.engine = new Engine({
      state: (state) => {
        this.connection = state;
        if (state === 'open') void this.#arrive();
      },
      change: (kind) => this.#changed(kind),
      who,
    });
    this.watch(['project', 'items', 'annotations', 'queue', 'jobs', 'versions'], () => void this.refetch());
  }

  /** Runs `run` after changes of these kinds, and after every reconnect. */
  watch(kinds: readonly Kind[], run: () => void): void {
    this.#watchers.push({ kinds, run });
  }

  /** Runs `forget` once another project than before is shown, its status being there already. */
  onAnother(forget: () => void): void {
    this.#forgetting.push(forget);
  }

  /** Runs a call; trouble is shown, and comes back as undefined. */
  async try<T>(run: (api: Api) => Promise<T>): Promise<T | undefined> {
    try {
      return await this.engine.call(run);
    } catch (error) {
      this.report(error);
      return undefined;
    }
  }

  report(error: unknown): void {
    const trouble = Trouble.of(error);
    // The bar about the connection already says it.
    if (trouble.code !== 'connection-lost') this.trouble = trouble;
  }

  /** Where something of this project would be written unless told otherwise. */
  fileFor(ending: string): string {
    const home = this.place?.home ?? '';
    const separator = home.includes('\\') ? '\\' : '/';
    return `${home}${separator}${(this.status?.name ?? '').replace(/[/\\:*?"<>|]/g, '-')}${ending}`;
  }

  go(view: View): void {
    if (view !== 'start' && this.status === null) return;
    this.view = view;
    this.trouble = null;
  }

  /** The status; while one is on its way, at most one more is asked for after it. */
  async refetch(): Promise<void> {
    if (this.place?.project == null) return;
    if (this.#refetching) {
      this.#again = true;
      return;
    }
    this.#refetching = true;
    const status = await this.try((api) => api.status());
    this.#refetching = false;
    if (status) this.#show(status);
    if (!this.#again) return;
    this.#again = false;
    await this.refetch();
  }

  #show(status: Status): void {
    const isAnother = status.dir !== this.status?.dir;
    this.status = status;
    if (isAnother) for (const forget of this.#forgetting) forget();
  }

  /** After another project was opened: forgets what was shown and fetches everything. */
  async entered(): Promise<void> {
    await this.#arrive();
    this.view = 'label';
  }

  async #arrive(): Promise<void> {
    const place = await this.try((api) => api.desk.state());
    if (!place) return;
    this.place = place;
    if (place.project === null) {
      this.status = null;
      this.view = 'start';
      return;
    }
    await this.refetch();
    for (const watcher of this.#watchers.slice(1)) watcher.run();
  }

  #changed(kind: Kind): void {
    if (kind === 'hello') return;
    this.#due.add(kind);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setTimeout(() => {
      this.#scheduled = false;
      const due = this.#due;
      this.#due = new Set();
      for (const watcher of this.#watchers) if (watcher.kinds.some((k) => due.has(k))) watcher.run();
    }, 30);
  }
}
