/**
 * An encoder from elsewhere, on its way in: which file, what its publisher says about it,
 * what the engine found in it. Nothing is kept before the person says “use it”; what was
 * found is forgotten as soon as anything about the question changes.
 */
import type { EncoderImportData, EncoderOutputsData } from '../../main/api.ts';
import { Attempt } from './attempt.svelte.ts';
import type { Desk } from './desk.svelte.ts';
import { numbersIn } from './mapping.ts';
import type { Listing } from './wizard.svelte.ts';

export class Encoders extends Attempt {
  path = $state('');
  listing = $state.raw<Listing | null>(null);
  kind = $state<EncoderImportData['kind']>('image');
  model = $state('');
  tokenizer = $state('');
  side = $state('');
  mean = $state('');
  std = $state('');
  /** Of several outputs; empty for the one the engine would take. */
  output = $state('');
  found = $state.raw<EncoderOutputsData | null>(null);
  picked = $derived([this.model, this.kind === 'text' ? this.tokenizer : ''].filter((path) => path !== ''));
  complete = $derived(this.model !== '' && (this.kind === 'image' || this.tokenizer !== ''));
  readonly #desk: Desk;

  constructor(desk: Desk) {
    super();
    this.#desk = desk;
  }

  begin(): void {
    if (this.#desk.status === null) return;
    this.forget();
    this.#desk.dialog = 'encoder';
    if (this.listing === null) void this.browse();
  }

  /** The question changed: what was found is no answer to it. */
  forget(): void {
    this.found = null;
    this.output = '';
    this.trouble = null;
  }

  async browse(dir?: string): Promise<void> {
    await this.attempt(async () => {
      const before = this.path;
      this.listing = await this.#desk.engine.call((api) => api.desk.browse(dir === undefined ? {} : { dir }));
      // What somebody has typed meanwhile is not written over.
      if (this.path === before) this.path = this.listing.dir;
    });
  }

  /** A .json is the tokenizer of a text encoder; anything else is the model. */
  pick(path: string): void {
    this.forget();
    this.path = path;
    if (/\.json$/i.test(path)) {
      this.tokenizer = path;
      this.kind = 'text';
    } else this.model = path;
  }

  async check(): Promise<void> {
    const output = this.output;
    this.found = null;
    await this.attempt(async () => {
      this.found = await this.#desk.engine.call((api) => api.encoders.inspect(this.#told(output)));
      this.output = this.found.output;
    });
  }

  async use(): Promise<void> {
    await this.attempt(async () => {
      await this.#desk.engine.call((api) => api.encoders.import(this.#told(this.output)));
      this.#desk.dialog = null;
    });
  }

  async useOwn(): Promise<void> {
    if (this.#desk.status === null) return;
    const live = (await this.#desk.try((api) => api.encoders.list()))?.find((encoder) => encoder.live);
    if (live?.imported) await this.#desk.try((api) => api.encoders.useOwn());
  }

  #told(output: string): EncoderImportData {
    const told: EncoderImportData = { model: this.model, kind: this.kind };
    if (output !== '') told.output = output;
    if (this.kind === 'text') told.tokenizer = this.tokenizer;
    else {
      const [side] = numbersIn(this.side);
      const [mean, std] = [numbersIn(this.mean), numbersIn(this.std)];
      if (side !== undefined) told.side = side;
      if (mean.length > 0) told.mean = mean;
      if (std.length > 0) told.std = std;
    }
    return told;
  }
}
