/**
 * The engine's codes put into words: states, acts, jobs, stages, reasons, decisions and
 * errors. Every code the engine may send has a message; an unknown one is shown as it is,
 * never as nothing.
 */
import type {
  AnnotationData,
  ExplanationData,
  DeviceData,
  ItemViewData,
  JobData,
  QueueEntry,
  VersionData,
} from '../main/api.ts';
import type { TrailEntryData } from '../main/api-trail.ts';
import { count, list, plain, probability } from './format.ts';
import { m } from './paraglide/messages.js';
import { getLocale } from './paraglide/runtime.js';
import type { Role } from './state/mapping.ts';
import type { Notice } from './state/outcome.ts';
import type { Theme } from './state/preferences.svelte.ts';

type Message = (inputs?: Record<string, string>) => string;

/** The message of that key (hyphens and spaces as underscores), or undefined. */
function named(key: string): Message | undefined {
  return (m as unknown as Record<string, Message | undefined>)[key.replace(/[- ]/g, '_').toLowerCase()];
}

function known(key: string, code: string): string {
  return named(key)?.() ?? code;
}

export const stateWord = (state: ItemViewData['state']) => known(`state_${state}`, state);
export const actWord = (act: AnnotationData['act']) => known(`act_${act}`, act);
export const themeWord = (theme: Theme) => known(`theme_${theme}`, theme);
export const roleWord = (role: Role) => known(`role_${role}`, role);
export const strategyWord = (strategy: string) => known(`strategy_${strategy}`, strategy);
export const methodWord = (method: ExplanationData['method']) => known(`method_${method}`, method);
export const encoderWord = (kind: string) => known(`encoder_${kind}`, kind);
export const versionStateWord = (state: VersionData['state']) => known(`version_state_${state}`, state);
export const deviceWord = (device: DeviceData['device']) => known(`device_${device}`, device);
export const deviceStateWord = (state: DeviceData['state']) => known(`device_state_${state}`, state);
export const sourceKindWord = (kind: string) => known(`source_kind_${kind}`, kind);

/** The title of a trouble, by its code. */
export function troubleTitle(code: string): string {
  return named(`error_${code}`)?.() ?? m.error_unexpected();
}

export function jobWord(job: Pick<JobData, 'kind' | 'stage'>): string {
  return (job.stage !== null && named(`stage_${job.stage}`)?.()) || known(`job_${job.kind}`, job.kind);
}

/** Sentences one after another: Chinese ones need no space between them. */
export function sentences(all: readonly string[]): string {
  return all.join(getLocale() === 'zh-CN' ? '' : ' ');
}

/** What is said of every item that is asked blind: audit items, second readings and spot checks are not to be told from each other. */
const BLIND = { code: 'audit' };

/** Why this item is asked: a question in bold and the numbers behind it. While it is asked blind, that it measures is all. */
export function reason(entry: QueueEntry, isBlind: boolean): { title: string; detail: string } {
  const why: QueueEntry['why'] = isBlind ? BLIND : entry.why;
  const detail: string[] = [];
  const names = (why.contenders ?? []).map((c) => plain(c.class));
  let title = named(`why_${why.code}`)?.() ?? why.code;
  if (why.code === 'typicality' && why.clusterSize !== undefined) {
    detail.push(m.why_cluster({ count: why.clusterSize, n: count(why.clusterSize) }));
  }
  if (names.length >= 2 && why.code !== 'audit') {
    title = m.why_contenders({ first: names[0], second: names[1] });
    if (why.margin !== undefined)
      detail.push(m.why_differ({ points: count(Math.round(why.margin * 100)), count: Math.round(why.margin * 100) }));
  } else if (why.contenders?.length === 1 && why.code !== 'audit') {
    detail.push(m.why_best({ name: names[0], p: probability(why.contenders[0].probability) }));
  }
  if (why.shareCloser !== undefined && why.code !== 'audit') {
    detail.push(why.shareCloser === 0 ? m.why_share_none() : m.why_share({ share: probability(why.shareCloser) }));
  }
  const explained = named(`why_${why.code}_detail`)?.();
  if (explained) detail.push(explained);
  return { title, detail: sentences(detail) };
}

/** Whether a model version was promoted, and why. */
export function decisionWord(version: { decision: { code: string } }): string {
  return named(`decision_${version.decision.code}`)?.() ?? version.decision.code;
}

/** Something that happened during a fine-tuning run. */
export function noticeWord(notice: Notice): string {
  const said: Record<string, string> = {
    ...(typeof notice.batch === 'number' && { batch: count(notice.batch) }),
    ...(typeof notice.device === 'string' && { device: deviceWord(notice.device as DeviceData['device']) }),
  };
  return named(`notice_${notice.code}`)?.(said) ?? notice.code;
}

/** How long something still takes, no more exactly than one can know. */
export function timeLeftWord(ms: number): string {
  const minutes = Math.ceil(ms / 60_000);
  if (minutes <= 1) return m.left_moment();
  if (minutes < 90) return m.left_minutes({ n: count(minutes) });
  const hours = Math.round(minutes / 60);
  return m.left_hours({ count: hours, n: count(hours) });
}

/** Classes as people read them; an empty answer is said. */
export function classesWord(classes: readonly string[] | null): string {
  if (classes === null) return '';
  return classes.length === 0 ? m.classes_none() : list(classes.map(plain));
}

/** What an entry of the audit trail says was done. */
export function deedWord({ call, subject }: Pick<TrailEntryData, 'call' | 'subject'>): string {
  const facts = Object.entries((subject ?? {}) as Record<string, unknown>).filter(([, value]) => isShort(value));
  const said = Object.fromEntries(facts.map(([name, value]) => [name, plain(String(value))]));
  return named(`deed_${call.replace('.', '_')}`)?.(said) ?? call;
}

const isShort = (value: unknown) => typeof value === 'string' || typeof value === 'number';

/** Who did it: names as they are, but for the program itself and what came with files. */
export function whoWord(who: string): string {
  if (who === 'marginalia') return m.record_program();
  return who === 'import' ? m.record_importer() : plain(who);
}
