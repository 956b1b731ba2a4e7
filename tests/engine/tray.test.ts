/**
 * The tray through the whole engine: what is planted among X-rays and answers is held back
 * for the right reason, audit items are asked all the same, what a person lets back in is
 * asked again, and a restart changes nothing.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import type { Role } from '../../main/domain/item.ts';
import type { Project } from '../../main/project.ts';
import { closed, imported, newFolder, newProject, reading, reopened } from './small-projects.ts';

const DATA = join(import.meta.dirname, '../../../shared/data');
const XRAYS = join(DATA, 'chest-xray');
const BLOOD = join(DATA, 'bccd/JPEGImages');
const ANSWERS = join(DATA, 'medquad/answers.jsonl');

/** Items of which the name begins so, by role. Audit items are never in the tray. */
function named(project: Project, begins: string, role: Role) {
  const items = reading(project, (reader) => reader.items.list({ limit: 1000 }));
  return items.filter((item) => item.role === role && item.name.startsWith(begins));
}

const namesOf = (items: readonly { name: string }[]) => items.map(({ name }) => name).sort();

describe.skipIf(!existsSync(XRAYS) || !existsSync(BLOOD))('among X-rays', () => {
  test('blank, blurred and coloured pictures wait in the tray, and few others do', async () => {
    const folder = newFolder();
    const files = readdirSync(join(XRAYS, 'no-findings')).slice(0, 104);
    for (const name of files) symlinkSync(join(XRAYS, 'no-findings', name), join(folder, `xray-${name}`));
    for (const [i, name] of readdirSync(BLOOD).slice(0, 4).entries()) {
      symlinkSync(join(BLOOD, name), join(folder, `blood-${i}.jpg`));
    }
    for (let i = 0; i < 4; i++) {
      await sharp(join(XRAYS, 'no-findings', files[i]))
        .blur(4)
        .jpeg()
        .toFile(join(folder, `soft-${i}.jpg`));
      const create = {
        width: 300,
        height: 280 + i,
        channels: 3 as const,
        background: { r: 40 * i, g: 40 * i, b: 40 * i },
      };
      await sharp({ create })
        .png()
        .toFile(join(folder, `empty-${i}.png`));
    }
    // Near duplicates of audit items are audit items: the blurred copies may be.
    const project = await newProject({ classes: ['normal', 'ill'], auditShare: 0.5 });
    await imported(project, { sources: [folder] });
    const queue = await project.queue(200);

    const { total, entries } = project.tray.list(100);
    expect(entries).toHaveLength(total);
    const because = (reason: string) =>
      namesOf(entries.filter((entry) => entry.reason === reason).map(({ view }) => view));
    expect(because('blank')).toEqual(namesOf(named(project, 'empty', 'pool')));
    expect(because('modality')).toEqual(namesOf(named(project, 'blood', 'pool')));
    expect(because('blurred').filter((name) => name.startsWith('soft'))).toEqual(
      namesOf(named(project, 'soft', 'pool')),
    );
    const clean = entries.filter(({ view }) => view.name.startsWith('xray'));
    expect(clean.length).toBeLessThanOrEqual(4);
    for (const { score, usual } of entries) expect(score < usual.low || score > usual.high).toBe(true);

    // Nothing in the tray is asked; audit items are, however unusual.
    const asked = new Set(queue.map(({ item }) => item));
    expect(entries.some(({ view }) => asked.has(view.id))).toBe(false);
    const unusual = named(project, 'blood', 'audit');
    expect(unusual.length).toBeGreaterThan(0);
    expect(unusual.every(({ id }) => asked.has(id))).toBe(true);
    expect(project.status().trayed).toBe(total);

    project.tray.release([entries[0].view.id], 'ann');
    project.annotate({
      item: entries[1].view.id,
      act: 'exclude',
      annotator: 'ann',
      durationMs: 1,
      suggestionVisible: false,
    });
    expect(project.tray.list(0).total).toBe(total - 2);
    await closed(project);

    const again = await reopened(project.dir, { resume: false });
    const later = await again.queue(200);
    expect(again.tray.list(100).entries.map(({ view }) => view.id)).toEqual(
      entries.slice(2).map(({ view }) => view.id),
    );
    const back = new Set(later.map(({ item }) => item));
    expect(back.has(entries[0].view.id)).toBe(true);
    expect(back.has(entries[1].view.id)).toBe(false);
  });
});

const FRENCH = [
  'Le diabète est une maladie chronique qui survient lorsque le pancréas ne produit pas assez d’insuline ou que le corps l’utilise mal.',
  'Les symptômes apparaissent souvent peu à peu : une fatigue inhabituelle, une soif intense, une perte de poids et une vision trouble.',
  'Le médecin peut prescrire un régime adapté, de l’exercice et, si nécessaire, des médicaments que l’on prend par voie orale.',
];

describe.skipIf(!existsSync(ANSWERS))('among answers', () => {
  test('French texts and texts without a letter wait in the tray', async () => {
    const folder = join(newFolder(), 'texts');
    mkdirSync(folder);
    const lines = readFileSync(ANSWERS, 'utf8').trim().split('\n');
    const texts = Array.from({ length: 110 }, (_, i) => (JSON.parse(lines[i * 70]) as { text: string }).text);
    texts.forEach((text, i) => writeFileSync(join(folder, `answer-${i}.txt`), text));
    FRENCH.forEach((text, i) => writeFileSync(join(folder, `french-${i}.txt`), text));
    writeFileSync(join(folder, 'void.txt'), '… — … \n ???');
    const project = await newProject({ classes: ['cause', 'treatment'], auditShare: 0 });
    await imported(project, { sources: [folder] });
    await project.queue(20);
    const { entries } = project.tray.list(100);
    const reasons = Object.fromEntries(entries.map(({ view, measure }) => [view.name.replace('.txt', ''), measure]));
    expect(reasons).toMatchObject({
      'french-0': 'surprise',
      'french-1': 'surprise',
      'french-2': 'surprise',
      void: 'content',
    });
    expect(entries.length).toBeLessThanOrEqual(4 + 3);
  });
});
