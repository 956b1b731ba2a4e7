/**
 * Texts without spaces, and both languages in one project: learnable classes are told
 * apart after a few labels. Tables as Chinese hospital systems write them, in GB18030.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createRng } from '../../main/domain/rng.ts';
import { accuracyOnOpen, done, imported, itemsOf, labelNext, newFolder, newProject } from './small-projects.ts';

/** Lines in GB18030 as Python 3.11's str.encode('gb18030') writes them; the last character is 𠮷 (U+20BB7), which GBK does not have. */
const GB18030 = {
  header: 'b1e0bac52cb7d6c0e02cd6f7cbdf0a',
  rows: ['412d312cbaf4cefc2cbfc8cbd4c8fdccec0a', '412d322cc6a4b7f42cc6a4d5ee9534b2350a'],
};

const CHINESE: Record<string, string[]> = {
  呼吸: ['咳嗽咳痰', '气促胸闷', '发热伴咳嗽', '喘息两天', '肺部湿啰音', '咯血少量'],
  皮肤: ['皮疹瘙痒', '手臂红斑', '荨麻疹反复', '皮肤干燥脱屑', '湿疹加重', '水疱破溃'],
};
const ENGLISH: Record<string, string[]> = {
  呼吸: ['cough with sputum', 'short of breath', 'fever and cough', 'wheezing for two days', 'crackles', 'haemoptysis'],
  皮肤: ['itching rash', 'red patches on the arm', 'hives again', 'dry scaling skin', 'eczema is worse', 'blisters'],
};
const FILLER = ['患者自述', '无药物过敏', '一周后复诊', '家属陪同', '夜间明显', '昨日开始'];
const FILLER_EN = [
  'patient says',
  'no allergies',
  'review in a week',
  'with a relative',
  'worse at night',
  'since then',
];

function writeTexts(count: number, englishShare: number) {
  const rng = createRng(11);
  const truth = new Map<string, string[]>();
  const lines: string[] = [];
  for (let i = 0; i < count; i++) {
    const own = ['呼吸', '皮肤'][rng.int(2)];
    const english = rng.next() < englishShare;
    const [said, filler] = english ? [ENGLISH, FILLER_EN] : [CHINESE, FILLER];
    const parts = rng.shuffle([
      ...rng.sample(6, 2).map((j) => said[own][j]),
      ...rng.sample(6, 2).map((j) => filler[j]),
      english ? `aged ${20 + rng.int(70)}` : `${20 + rng.int(70)}岁`,
    ]);
    const id = `text-${i}`;
    truth.set(id, [own]);
    lines.push(JSON.stringify({ id, text: english ? `${parts.join(', ')} (${i})` : `${parts.join('，')}。${i}` }));
  }
  const file = join(newFolder(), 'texts.jsonl');
  writeFileSync(file, `${lines.join('\n')}\n`);
  return { file, truth };
}

test.each([
  ['Chinese texts', 0],
  ['texts of which half are English and half Chinese', 0.5],
])('%s are told apart after 30 labels', async (_, englishShare) => {
  const texts = writeTexts(160, englishShare);
  const project = await newProject({ classes: ['呼吸', '皮肤'] });
  await imported(project, { sources: [texts.file], mapping: { text: 'text', id: 'id' } });
  for (let round = 0; round < 3; round++) {
    await labelNext(project, texts.truth, 10);
    done(await project.train().finished);
  }
  expect(project.status()).toMatchObject({ labelled: 30, modelVersion: 3 });
  expect(await accuracyOnOpen(project, texts.truth)).toBeGreaterThan(0.85);
});

test('A table in GB18030 is read as it was written, with its labels', async () => {
  const table = join(newFolder(), 'cases.csv');
  writeFileSync(table, Buffer.from(GB18030.header + GB18030.rows.join(''), 'hex'));
  const project = await newProject({ classes: ['呼吸', '皮肤'] });
  const { result } = await imported(project, {
    sources: [table],
    mapping: { id: '编号', label: '分类', text: '主诉' },
    labels: 'given',
  });
  expect(result).toMatchObject({ added: 2, problems: 0 });
  const read = itemsOf(project).map(({ name, classes, parts }) => ({ name, classes, parts }));
  expect(read).toEqual([
    { name: 'A-1', classes: ['呼吸'], parts: [{ kind: 'text', text: '咳嗽三天', path: null }] },
    { name: 'A-2', classes: ['皮肤'], parts: [{ kind: 'text', text: '皮疹𠮷', path: null }] },
  ]);
});
