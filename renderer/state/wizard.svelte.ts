/**
 * From a folder on disk to a project that can be labelled: what to import, how it reads,
 * what the classes are called, where the project goes. The same object imports more into
 * an open project, where the last step falls away.
 */
import type { ImportOptionsData, PreviewData } from '../../main/api.ts';
import type { Api } from '../engine.ts';
import { Attempt } from './attempt.svelte.ts';
import type { Desk } from './desk.svelte.ts';
import { baseName, isShared, mappingOf, rolesOf, type Role } from './mapping.ts';

export type Listing = Awaited<ReturnType<Api['desk']['browse']>>;
export type Step = 'home' | 'source' | 'preview' | 'project';
export class Wizard extends Attempt {
  step = $state<Step>('home');
  path = $state('');
  listing = $state.raw<Listing | null>(null);
  /** Files ticked in the open folder; none means the whole folder. */
  picked = $state.raw<string[]>([]);
  preview = $state.raw<PreviewData | null>(null);
  roles = $state<Record<string, Role>>({});
  labels = $state<ImportOptionsData['labels']>('none');
  name = $state('');
  dir = $state('');
  classes = $state('');
  many = $state(false);
  /** Into the open project instead of a new one. */
  adding = $state(false);
  classNames = $derived([
    ...new Set(
      this.classes
        .split('\n')
        .map((name) => name.trim())
        .filter((name) => name !== ''),
    ),
  ]);
  /** A table of which nothing is taken cannot be imported. */
  takesSomething = $derived(
    this.preview === null ||
      this.preview.columns.length === 0 ||
      Object.values(this.roles).some((role) => ['text', 'image', 'numbers'].includes(role)),
  );
  readonly #desk: Desk;
  #typedDir = false;

  constructor(desk: Desk) {
    super();
    this.#desk = desk;
  }

  begin(adding: boolean): void {
    this.adding = adding;
    this.step = 'source';
    this.preview = null;
    this.picked = [];
    this.trouble = null;
    this.name = '';
    this.classes = '';
    this.labels = 'none';
    this.#typedDir = false;
    void this.browse(this.path || undefined);
  }

  async browse(dir?: string): Promise<void> {
    await this.attempt(async () => {
      const before = this.path;
      this.listing = await this.#desk.engine.call((api) => api.desk.browse(dir === undefined ? {} : { dir }));
      // What somebody has typed meanwhile is not written over.
      if (this.path === before) this.path = this.listing.dir;
      this.picked = [];
    });
  }

  pick(path: string): void {
    this.picked = this.picked.includes(path) ? this.picked.filter((other) => other !== path) : [...this.picked, path];
  }

  async next(): Promise<void> {
    if (this.step === 'source') await this.look();
    else if (this.step === 'preview' && !this.adding) this.#propose();
    else await this.start();
  }

  back(): void {
    this.trouble = null;
    if (this.step === 'project') this.step = 'preview';
    else if (this.step === 'preview') this.step = 'source';
    else this.step = 'home';
  }

  /** Reads the first rows with the present mapping. */
  async look(remap = false): Promise<void> {
    await this.attempt(async () => {
      const options = this.#options('given');
      const preview = await this.#desk.engine.call((api) =>
        api.imports.preview(remap ? options : { ...options, mapping: {} }),
      );
      if (!remap) this.roles = rolesOf(preview);
      this.preview = preview;
      this.step = 'preview';
    });
  }

  assign(column: string, role: Role): void {
    for (const [other, has] of Object.entries(this.roles)) {
      if (has === role && !isShared(role)) this.roles[other] = 'ignore';
    }
    this.roles[column] = role;
    void this.look(true);
  }

  rename(name: string): void {
    this.name = name;
    if (!this.#typedDir) this.dir = this.#home(name);
  }

  relocate(dir: string): void {
    this.#typedDir = true;
    this.dir = dir;
  }

  async start(): Promise<void> {
    await this.attempt(async () => {
      const engine = this.#desk.engine;
      if (!this.adding) {
        const input = {
          dir: this.dir,
          name: this.name,
          task: this.many ? 'classify-many' : 'classify',
          classes: this.classNames,
        } as const;
        await engine.call((api) => api.desk.create({ ...input, classes: [...input.classes] }));
      }
      await engine.call((api) => api.imports.start(this.#options(this.labels)));
      this.step = 'home';
      await this.#desk.entered();
    });
  }

  async open(dir: string): Promise<void> {
    await this.attempt(async () => {
      await this.#desk.engine.call((api) => api.desk.open({ dir }));
      this.step = 'home';
      await this.#desk.entered();
    });
  }

  #options(labels: ImportOptionsData['labels']): ImportOptionsData {
    const table = Object.keys(this.roles).length > 0 && this.preview !== null;
    return {
      sources: this.picked.length > 0 ? [...this.picked] : [this.path.trim()],
      mapping: table ? mappingOf(this.roles) : {},
      labelsFromFolders: !table && labels !== 'none',
      labels,
    };
  }

  #propose(): void {
    if (this.name === '') this.rename(baseName(this.picked[0] ?? this.path).replace(/\.[a-z]+$/i, ''));
    if (this.classes === '') this.classes = (this.preview?.labels ?? []).join('\n');
    this.step = 'project';
  }

  #home(name: string): string {
    const home = this.#desk.place?.home ?? '';
    const slug =
      name
        .trim()
        .toLowerCase()
        .replace(/[^\p{L}\p{N}]+/gu, '-')
        .replace(/^-|-$/g, '') || 'project';
    return `${home}${home.includes('\\') ? '\\' : '/'}${slug}`;
  }
}
