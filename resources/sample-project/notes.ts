/**
 * Writes simulated triage notes: a few sentences in English or Chinese about a person who
 * does not exist, with a complaint, signs that are present, absent or doubted, and vital
 * signs. The class is how urgent the writer had it in mind; the same signs occur affirmed
 * and denied in every class, so that single words do not give it away. Pure.
 */
import type { Rng } from '../../main/domain/rng.ts';
import { COMPLAINTS, PHRASES, type Complaint, type Phrase } from './note-phrases.ts';

export const URGENCIES = ['emergency', 'urgent', 'routine'] as const;
export type Urgency = (typeof URGENCIES)[number];

export interface Note {
  id: string;
  text: string;
  /** What the generator had in mind. */
  urgency: Urgency;
  patient: string;
}

type Language = 'en' | 'zh';

interface Patient {
  name: string;
  age: number;
  female: boolean;
  language: Language;
}

/** How often a note is in Chinese, tells how the person looks, and is misleading about it; how often signs are doubted, measured, denied. */
const SHARES = { chinese: 0.25, appearance: 0.75, misleading: 0.18, doubt: 0.22, vitals: 0.5, denial: 0.65 };

function pick<T>(rng: Rng, values: readonly T[]): T {
  return values[rng.int(values.length)];
}

function say(phrase: Phrase, language: Language): string {
  return phrase[language === 'en' ? 0 : 1];
}

/** Fills `{sign}` and the like; the first letter of an English sentence becomes large. */
function fill(rng: Rng, phrases: readonly Phrase[], language: Language, words: Record<string, string>): string {
  const text = say(pick(rng, phrases), language).replaceAll(/\{(\w+)\}/g, (_, word: string) => words[word]);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Vital signs that lean towards the urgency without giving it away. */
function vitals(rng: Rng, urgency: Urgency, language: Language): string {
  const level = 2 - URGENCIES.indexOf(urgency) + 0.75 * rng.normal();
  const pulse = Math.round(74 + 11 * level + 7 * rng.normal());
  const systolic = Math.round(131 - 7 * level + 13 * rng.normal());
  const saturation = Math.min(100, Math.round(98.2 - 1.6 * Math.max(0, level) + 0.9 * rng.normal()));
  const temperature = (36.7 + 0.35 * level + 0.4 * rng.normal()).toFixed(1);
  return language === 'en'
    ? `HR ${pulse}, BP ${systolic}/${Math.round(systolic * 0.62)}, SpO2 ${saturation}%, T ${temperature}.`
    : `心率${pulse}次/分，血压${systolic}/${Math.round(systolic * 0.62)}mmHg，血氧${saturation}%，体温${temperature}℃。`;
}

function list(words: string[], language: Language, last: string): string {
  if (language === 'zh') return words.join('、');
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}

function writeNote(rng: Rng, patient: Patient, complaint: Complaint, urgency: Urgency): string {
  const { language } = patient;
  const rank = URGENCIES.indexOf(urgency);
  const signs = URGENCIES.map((level) => rng.shuffle([...complaint[level]]));
  const present = signs[rank].splice(0, 1 + rng.int(3));
  const sentences = [
    fill(rng, PHRASES.opening, language, {
      age: String(patient.age),
      sex: say(patient.female ? PHRASES.female : PHRASES.male, language),
      complaint: say(complaint.name, language),
      since: say(pick(rng, PHRASES.since[rng.next() < 0.72 ? urgency : pick(rng, URGENCIES)]), language),
    }),
    fill(rng, PHRASES.present, language, {
      signs: list(
        present.map((sign) => say(sign, language)),
        language,
        'and',
      ),
    }),
  ];
  if (rng.next() < SHARES.appearance) {
    const looks = rng.next() < SHARES.misleading ? pick(rng, URGENCIES) : urgency;
    sentences.push(fill(rng, PHRASES.appearance[looks], language, {}));
  }
  if (rng.next() < SHARES.denial) {
    const worse = signs.slice(0, Math.max(1, rank)).flat();
    const absent = rng.sample(worse.length, 1 + rng.int(2)).map((i) => say(worse[i], language));
    sentences.push(fill(rng, PHRASES.absent, language, { signs: list(absent, language, 'or') }));
  }
  if (rng.next() < SHARES.doubt) {
    const beside = signs[rank === 1 ? pick(rng, [0, 2]) : 1];
    sentences.push(fill(rng, PHRASES.doubted, language, { signs: say(pick(rng, beside), language) }));
  }
  if (rng.next() < SHARES.vitals) sentences.push(vitals(rng, urgency, language));
  if (rng.next() < 0.45) sentences.push(fill(rng, PHRASES.background, language, {}));
  return sentences.join(language === 'en' ? ' ' : '');
}

/** `count` notes about roughly half as many patients, classes in equal shares, in random order. */
export function drawNotes(rng: Rng, count: number): Note[] {
  const patients: Patient[] = Array.from({ length: Math.ceil(count / 2) }, (_, i) => ({
    name: `simulated-patient-${String(i + 1).padStart(3, '0')}`,
    age: 18 + rng.int(72),
    female: rng.next() < 0.5,
    language: rng.next() < SHARES.chinese ? 'zh' : 'en',
  }));
  const urgencies = rng.shuffle(Array.from({ length: count }, (_, i) => URGENCIES[i % URGENCIES.length]));
  return urgencies.map((urgency, i) => {
    const patient = pick(rng, patients);
    return {
      id: `simulated-note-${String(i + 1).padStart(4, '0')}`,
      text: writeNote(rng, patient, pick(rng, COMPLAINTS), urgency),
      urgency,
      patient: patient.name,
    };
  });
}
