/**
 * Explanations through the whole engine, on material whose makers know what decides: a patch
 * in a picture, a word in a text, a measurement. Occlusion, which needs no derivative, is
 * the second opinion.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it, test } from 'vitest';
import type { ExplanationPartData, QueueEntry } from '../../main/api.ts';
import type { TextPart } from '../../main/domain/item.ts';
import { createRng } from '../../main/domain/rng.ts';
import { explainTexts } from '../../main/explained-text.ts';
import { ExplainedVersion } from '../../main/explained-version.ts';
import { prepareItem, type TokensPreparation } from '../../main/inference/index.ts';
import { GraphBuilder } from '../../main/onnx/index.ts';
import type { Project } from '../../main/project.ts';
import { done, imported, itemsOf, label, newFolder, newProject, truthOf, writeNotes } from './small-projects.ts';

type Part<K extends ExplanationPartData['kind']> = Extract<ExplanationPartData, { kind: K }>;

const partOf = <K extends ExplanationPartData['kind']>(parts: ExplanationPartData[], kind: K) =>
  parts.find((part) => part.kind === kind) as Part<K>;

/** A project of cases whose picture has a striped patch at the left or at the right, and whose pressure is high with the latter; trained on all labels. */
async function cases(count = 40): Promise<Project> {
  const rng = createRng(5);
  const folder = newFolder();
  const rows = ['case;picture;pressure;room;side'];
  for (let i = 0; i < count; i++) {
    const right = i % 2 === 1;
    const pixels = Buffer.alloc(64 * 64);
    for (let j = 0; j < pixels.length; j++) {
      const [x, y] = [j % 64, Math.floor(j / 64)];
      const inside = y >= 24 && y < 44 && x >= (right ? 40 : 4) && x < (right ? 60 : 24);
      pixels[j] = 110 + 12 * rng.normal() + (inside ? 70 * Math.sign(Math.sin(x * 1.6)) : 0);
    }
    const file = `case-${i}.png`;
    await sharp(pixels, { raw: { width: 64, height: 64, channels: 1 } })
      .png()
      .toFile(join(folder, file));
    const pressure = Math.round(120 + (right ? 30 : 0) + 5 * rng.normal());
    rows.push(`case-${i};${file};${pressure};${rng.int(9)};${right ? 'right' : 'left'}`);
  }
  const table = join(folder, 'cases.csv');
  writeFileSync(table, `${rows.join('\n')}\n`);
  const project = await newProject({ classes: ['left', 'right'], auditShare: 0 });
  const mapping = { id: 'case', image: 'picture', numbers: ['pressure', 'room'], label: 'side' };
  await imported(project, { sources: [table], mapping, labels: 'given' });
  done(await project.train().finished);
  return project;
}

/** Share of the evidence for the class that lies in a rectangle (shares of width and height). */
function shareIn({ width, height, values }: Part<'image'>, [left, top, right, bottom]: number[]): number {
  let inside = 0;
  let all = 0;
  values.forEach((value, i) => {
    const [x, y] = [((i % width) + 0.5) / width, (Math.floor(i / width) + 0.5) / height];
    const positive = Math.max(0, value);
    all += positive;
    if (x >= left && x < right && y >= top && y < bottom) inside += positive;
  });
  return inside / all;
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (x: readonly number[]) => x.reduce((sum, v) => sum + v, 0) / x.length;
  const [ma, mb] = [mean(a), mean(b)];
  const dot = (x: readonly number[], mx: number, y: readonly number[], my: number) =>
    x.reduce((sum, v, i) => sum + (v - mx) * (y[i] - my), 0);
  return dot(a, ma, b, mb) / Math.sqrt(dot(a, ma, a, ma) * dot(b, mb, b, mb));
}

test('A picture is explained by the patch that decides, and a measurement by its share', async () => {
  const project = await cases();
  const items = itemsOf(project).slice(0, 2);
  for (const { id, classes } of items) {
    const [own] = classes!;
    const explanation = await project.explain({ item: id, class: own });
    expect(explanation).toMatchObject({ item: id, version: 1, class: own, method: 'integrated-gradients' });
    expect(explanation.logOdds).toBeGreaterThan(0);
    const image = partOf(explanation.parts, 'image');
    expect(image.values).toHaveLength(image.width * image.height);
    expect(Math.max(...image.values.map(Math.abs))).toBe(1);
    // the stripes that are there, and those that are missing on the other side
    const [left, right] = [shareIn(image, [0, 0.25, 0.45, 0.8]), shareIn(image, [0.55, 0.25, 1, 0.8])];
    expect(left + right).toBeGreaterThan(0.65);
    expect(own === 'left' ? left : right).toBeGreaterThan(0.25);
    const numbers = partOf(explanation.parts, 'numbers');
    expect(numbers.values.pressure).toBe(1);
    expect(Math.abs(numbers.values.room)).toBeLessThan(0.5);
    const occlusion = await project.explain({ item: id, class: own, method: 'occlusion' });
    const second = partOf(occlusion.parts, 'image');
    const centre = ({ width, values }: Part<'image'>) => values[34 * width + (own === 'left' ? 14 : 50)];
    expect(centre(image)).toBeGreaterThan(0.3);
    expect(centre(second), 'covering the patch costs').toBeGreaterThan(0.3);
    const other = await project.explain({ item: id, class: own === 'left' ? 'right' : 'left' });
    expect(
      correlation(image.values, partOf(other.parts, 'image').values),
      'evidence for one is against the other',
    ).toBeLessThan(-0.99);
  }
});

test('A text is explained by its words; what cannot be answered is said', async () => {
  const { file, truth } = writeNotes(80);
  const project = await newProject({ classes: ['fever', 'rash', 'cough'], auditShare: 0.2 });
  await imported(project, { sources: [file], mapping: { id: 'id', text: 'text' } });
  const items = itemsOf(project);
  const [first] = items;
  await expect(project.explain({ item: first.id })).rejects.toMatchObject({ code: 'version-unknown' });
  const queue: QueueEntry[] = await project.queue(80);
  const blind = queue.find((entry) => entry.blind)!;
  for (const { item, view } of queue) if (item !== blind.item) label(project, item, truthOf(truth, view.name));
  done(await project.train().finished);

  const rashes = queue.filter(({ item, view }) => item !== blind.item && truthOf(truth, view.name)[0] === 'rash');
  for (const { item, view } of rashes.slice(0, 5)) {
    const { parts, ...about } = await project.explain({ item });
    expect(about).toMatchObject({ class: 'rash', method: 'occlusion' });
    const [own] = view.parts;
    const text = own.kind === 'text' ? own.text : '';
    const { spans } = partOf(parts, 'text');
    const best = spans.reduce((a, b) => (b.value > a.value ? b : a));
    expect(text.slice(best.from, best.to)).toMatch(
      /rash|itching|red|spots|eczema|blisters|skin|hives|dry|scaling|arm|on|the/,
    );
    expect(best.value).toBe(1);
    for (const [i, { from, to }] of spans.entries())
      expect(from < to && (i === 0 || spans[i - 1].to <= from)).toBe(true);
  }
  await expect(project.explain({ item: blind.item })).rejects.toMatchObject({ code: 'item-blind' });
  const { item } = rashes[0];
  await expect(project.explain({ item, class: 'fracture' })).rejects.toMatchObject({ code: 'class-unknown' });
  await expect(project.explain({ item, version: 7 })).rejects.toMatchObject({ code: 'version-unknown' });
  const asked = project.explain({ item }, AbortSignal.abort());
  await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
});

describe('A model that looks tokens up', () => {
  const TOKENS: TokensPreparation = { kind: 'text', method: 'tokens', maxTokens: 8, padId: 0 };
  const special = (id: number, content: string) => ({
    ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  });
  /** Whole words between [CLS] and [SEP]; “un” and “well” are two tokens of one word. */
  const TOKENIZER = JSON.stringify({
    ...{ version: '1.0', truncation: null, padding: null, decoder: null },
    added_tokens: [special(0, '[PAD]'), special(1, '[CLS]'), special(2, '[SEP]')],
    normalizer: { type: 'Lowercase' },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: ['[CLS]', 'A', '[SEP]'].map((id) =>
        id === 'A' ? { Sequence: { id, type_id: 0 } } : { SpecialToken: { id, type_id: 0 } },
      ),
      pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
      special_tokens: {
        '[CLS]': { id: '[CLS]', ids: [1], tokens: ['[CLS]'] },
        '[SEP]': { id: '[SEP]', ids: [2], tokens: ['[SEP]'] },
      },
    },
    model: {
      ...{ type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 50 },
      vocab: { '[PAD]': 0, '[CLS]': 1, '[SEP]': 2, '[UNK]': 3, fever: 4, calm: 5, un: 6, '##well': 7 },
    },
  });

  /** Token vectors summed over real tokens are the scores of two classes: fever (2, 0), calm (0, 3), un (1, 0), ##well (0.5, 0). */
  function version(): Uint8Array {
    const g = new GraphBuilder('words');
    const ids = g.input('text_tokens', 'int64', ['n', 'tokens']);
    const mask = g.input('text_mask', 'int64', ['n', 'tokens']);
    const table = Float32Array.of(0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 3, 1, 0, 0.5, 0);
    const vectors = g.node('Gather', [g.constant(table, [8, 2]), ids]);
    const real = g.node('Cast', [g.node('Unsqueeze', [mask, g.ints(2)])], { to: 1 });
    const scores = g.node('ReduceSum', [g.node('Mul', [vectors, real]), g.ints(1)], { keepdims: 0 });
    g.output('probabilities', 'float32', ['n', 2], g.node('Softmax', [scores], { axis: -1 }));
    return g.toModel({ 'marginalia.tokenizer': TOKENIZER });
  }

  const text = (words: string): TextPart => ({ kind: 'text', text: words, sha256: '', path: null });

  it('is explained word by word, across tokens, windows and letters outside the basic plane', async () => {
    const opened = await ExplainedVersion.open(
      { version: 1, classes: ['ill', 'well'], preparations: [TOKENS] },
      version(),
    );
    const parts = [text('🤒 Fever, unwell'), text('calm calm calm calm fever')];
    const { rows } = await prepareItem(parts, [TOKENS], opened.tokenizer);
    expect(rows.length).toBeGreaterThan(1);
    const found = await explainTexts(opened, rows[0], parts, 0, 'integrated-gradients');
    await opened.close();
    const words = found.map((spans, i) => spans.map(({ from, to, value }) => [parts[i].text.slice(from, to), value]));
    // the log odds are score 0 − score 1, so a word's share is the sum of its tokens, of the strongest: 3
    expect(words).toEqual([
      [
        ['Fever', 0.667],
        ['unwell', 0.5],
      ],
      [...Array.from({ length: 4 }, () => ['calm', -1]), ['fever', 0.667]],
    ]);
  });
});
