/**
 * The engine's side of the guarantee: when a look is due it has compute make it and puts the
 * claim on record, found or not, because the look has spent its part of δ. What a claim names
 * is settled as long as it is open and nobody has found the claim to be wrong. Spot checks
 * draw settled items by chance for a person to look at; too many wrong ones withdraw the claim.
 */
import { ACCOUNT } from './account.ts';
import type { ClaimData, GuaranteeData, SpotChecksData } from './api-evidence.ts';
import { claimedIn, claimInForce, lastClaim, type ClaimedItems } from './claimed.ts';
import { SETTLED } from './compute-api.ts';
import type { ItemId } from './domain/item.ts';
import { createRng } from './domain/rng.ts';
import { clopperPearson, nextLookAt, spentAt, type Level } from './evidence/index.ts';
import type { DeskParts } from './evidence-desk.ts';
import type { ClaimRecord, QueueDraft, QueueEntry } from './store/index.ts';

interface Known {
  look: number;
  claimed: ClaimedItems;
  items: ReadonlySet<number>;
}

export class ClaimsDesk {
  readonly #parts: DeskParts;
  #known: Known | null = null;
  /** How many of the claimed items were open after an act. */
  #open: { look: number; sequence: number; count: number } | null = null;
  #looking: Promise<void> | null = null;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  /** The levels that claims are made at, and the audit items at which the next look is due. */
  levels(): Level & { nextLookAt: number } {
    return { ...this.#level(), nextLookAt: this.nextLook().at };
  }

  #level(): Level {
    return (this.#parts.store.settings.get('levels') ?? SETTLED) as Level;
  }

  /** Other levels hold from the next look on; what was spent stays spent. */
  setLevels({ alpha, delta }: Level, who = ACCOUNT): ClaimData | null {
    const { store } = this.#parts;
    const levels = { alpha, delta };
    store.recorded(
      { who, call: 'evidence.setLevels' },
      () => store.settings.set('levels', levels),
      () => levels,
    );
    this.#parts.changed('project');
    return this.claim();
  }

  /** The claim that settles items, or where none does, the newest look. */
  claim(): ClaimData | null {
    const { reports } = this.#parts.store;
    const record = lastClaim(reports) ?? reports.claims().at(-1);
    if (!record) return null;
    const { guarantee } = record.body as { guarantee: GuaranteeData };
    return {
      ...guarantee,
      delta: record.delta,
      look: record.look,
      spent: record.spent,
      modelVersion: record.version,
      seed: record.seed,
      at: record.at,
      open: this.settled(),
      nextLookAt: this.nextLook().at,
      withdrawn: reports.withdrawal(record.look) !== null,
    };
  }

  /** The next look, and the audit items at which it is due. */
  nextLook(): { look: number; at: number } {
    const last = this.#parts.store.reports.claims().at(-1);
    const look = (last?.look ?? 0) + 1;
    return { look, at: nextLookAt(look, last?.audit_size ?? 0, this.#level()) };
  }

  /** How many items are settled now. */
  settled(): number {
    const { reports, items, annotations } = this.#parts.store;
    const record = claimInForce(reports);
    if (!record) return 0;
    const { sequence } = annotations.head();
    if (this.#open?.look !== record.look || this.#open.sequence !== sequence) {
      const { items: claimed } = this.#knownOf(record);
      const decided = items.decided().filter((seq) => claimed.has(seq)).length;
      this.#open = { look: record.look, sequence, count: claimed.size - decided };
    }
    return this.#open.count;
  }

  /** What the status shows: the claim, with the items that are still open. */
  guarantee(): GuaranteeData | null {
    const claim = this.claim();
    if (!claim) return null;
    const { alpha, delta, threshold, bound, auditSize, needed, open } = claim;
    return { alpha, delta, threshold: claim.withdrawn ? null : threshold, settled: open, bound, auditSize, needed };
  }

  #knownOf({ look, settled }: ClaimRecord & { settled: string }): Known {
    if (this.#known?.look !== look) {
      const claimed = claimedIn(this.#parts.store.blobs, settled);
      this.#known = { look, claimed, items: new Set(claimed.items) };
    }
    return this.#known;
  }

  /** Makes a look where one is due at so many audit items. */
  async lookWhereDue(auditSize: number): Promise<void> {
    if (auditSize < this.nextLook().at) return;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { store, compute, changed, seed } = this.#parts;
    const { look } = this.nextLook();
    const { alpha, delta } = this.#level();
    const spent = spentAt(look, delta);
    const found = await compute.call((client, call) => client.look({ alpha, delta: spent }, call));
    if (!found) return;
    store.reports.addClaim({
      version: found.modelVersion,
      sequence: found.sequence,
      seed: seed(`look ${look}`),
      alpha,
      delta,
      spent,
      audit_size: found.auditSize,
      threshold: found.guarantee.threshold,
      settled: found.claimed?.sha256 ?? null,
      body: { guarantee: found.guarantee },
    });
    changed('versions');
    this.#clearQueue();
  }

  /** Settled items leave the queue, but for the one that may be on screen. */
  #clearQueue(): void {
    const { store, changed } = this.#parts;
    const record = claimInForce(store.reports);
    if (!record) return;
    const { items } = this.#knownOf(record);
    const asked = store.queue.next(store.queue.remaining());
    const isAsked = ({ seq, strategy }: QueueEntry, place: number) =>
      place === 0 || strategy === 'spot-check' || !items.has(seq);
    store.queue.replace(asked.filter(isAsked), { keepFirst: 0 });
    changed('queue');
  }

  /** Draws settled items by chance, gives them to the audit set and asks for them next, blind. Returns how many; none without a claim in force. */
  spotCheck(count: number, who = ACCOUNT): { drawn: number } {
    const { store, changed, seed: seedOf } = this.#parts;
    const record = claimInForce(store.reports);
    const by = { who, call: 'evidence.spotCheck' };
    if (!record) return store.recorded(by, () => ({ drawn: 0 }));
    const before = store.reports.auditDraws();
    const gone = new Set([...store.items.decided(), ...before.map(({ item }) => store.items.seqOf(item))]);
    const open = this.#knownOf(record).claimed.items.filter((seq) => !gone.has(seq));
    const seed = seedOf(`spot check ${before.length}`);
    const places = createRng(seed).sample(open.length, count);
    const probability = places.length / open.length;
    const ids = store.items.idsOf(places.map((at) => open[at]));
    const draw = () => {
      const drawn = store.reports.drawAudit(ids.map((item) => ({ item, look: record.look, probability, seed })));
      store.queue.replace([...this.waiting(), ...store.queue.next(store.queue.remaining())], { keepFirst: 0 });
      return { drawn, look: record.look };
    };
    const { drawn } = store.recorded(by, draw);
    changed('queue');
    return { drawn };
  }

  /** Spot checks of the claim in force that nobody has answered yet, as entries for the head of the queue. */
  waiting(): QueueDraft[] {
    const { reports, items } = this.#parts.store;
    const record = claimInForce(reports);
    if (!record) return [];
    const own = reports.auditDraws().filter(({ look }) => look === record.look);
    return own
      .filter(({ item }) => items.get(item)?.state === 'open')
      .map(({ item, look, seed }) => ({
        item,
        score: 0,
        strategy: 'spot-check',
        modelVersion: record.version,
        seed,
        why: { code: 'spot-check', look, distribution: null },
      }));
  }

  /** What the spot checks of the newest claim have come to. */
  spotChecks(): SpotChecksData {
    const { reports, items } = this.#parts.store;
    const record = lastClaim(reports);
    const drawn = record ? reports.auditDraws().filter(({ look }) => look === record.look) : [];
    const found = drawn.map(({ item }) => items.get(item));
    const labelled = found.filter((item) => item?.state === 'labelled');
    const wrong = record
      ? labelled.filter((item) => !this.#isAsClaimed(record, item!.seq, item!.classes ?? [])).length
      : 0;
    const n = labelled.length;
    const { value, low, high } = clopperPearson(wrong, n);
    const waiting = found.filter((item) => item?.state === 'open').length;
    return { n, waiting, wrong, errors: { n, value: n === 0 ? null : value, low, high } };
  }

  #isAsClaimed(record: ClaimRecord & { settled: string }, seq: number, classes: readonly string[]): boolean {
    const { claimed } = this.#knownOf(record);
    const suggested = claimed.suggested[claimed.items.indexOf(seq)].map((j) => claimed.classes[j]);
    return suggested.length === classes.length && suggested.every((name) => classes.includes(name));
  }

  /** After an act on an item: where it was a spot check and too many of them were wrong, the claim is withdrawn. */
  answered(item: ItemId): void {
    const { store, changed } = this.#parts;
    const { reports } = store;
    const record = claimInForce(reports);
    if (!record || !reports.auditDraws().some((draw) => draw.item === item && draw.look === record.look)) return;
    const { n, wrong, errors } = this.spotChecks();
    if (n === 0 || errors.low <= record.alpha) return;
    reports.withdraw(record.look, { code: 'spot-checks', n, wrong, low: errors.low, alpha: record.alpha });
    changed('versions');
  }
}
