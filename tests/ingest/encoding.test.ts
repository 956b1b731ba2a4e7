import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TextPart } from '../../main/domain/item.ts';
import { folderOf, readAll } from './material.ts';

/** Text, Python's name of the codec, and the bytes that Python 3 wrote (`text.encode(codec).hex()`). */
// prettier-ignore
const WRITTEN: [string, string, string][] = [
  ['双肺纹理增多，未见明显实变影。', 'utf-8', 'e58f8ce882bae7bab9e79086e5a29ee5a49aefbc8ce69caae8a781e6988ee698bee5ae9ee58f98e5bdb1e38082'],
  ['双肺纹理增多，未见明显实变影。', 'utf-8-sig', 'efbbbfe58f8ce882bae7bab9e79086e5a29ee5a49aefbc8ce69caae8a781e6988ee698bee5ae9ee58f98e5bdb1e38082'],
  ['双肺纹理增多，未见明显实变影。', 'utf-16', 'fffecc53ba80b97e06749e581a590cff2a67c1890e663e669e5bd853715f0230'],
  ['双肺纹理增多，未见明显实变影。', 'utf-16-le', 'cc53ba80b97e06749e581a590cff2a67c1890e663e669e5bd853715f0230'],
  ['双肺纹理增多，未见明显实变影。', 'utf-16-be', '53cc80ba7eb97406589e591aff0c672a89c1660e663e5b9e53d85f713002'],
  ['双肺纹理增多，未见明显实变影。', 'gb18030', 'cbabb7cecec6c0edd4f6b6e0a3acceb4bcfbc3f7cfd4cab5b1e4d3b0a1a3'],
  ['肺炎', 'utf-8', 'e882bae7828e'],
  ['肺炎', 'utf-16-le', 'ba808e70'],
  ['肺炎', 'utf-16-be', '80ba708e'],
  ['肺炎', 'gb18030', 'b7ced1d7'],
  ['右肺上叶GGO 8mm, 建议3个月复查。', 'utf-8', 'e58fb3e882bae4b88ae58fb647474f20386d6d2c20e5bbbae8aeae33e4b8aae69c88e5a48de69fa5e38082'],
  ['右肺上叶GGO 8mm, 建议3个月复查。', 'utf-16-le', 'f353ba800a4ef653470047004f00200038006d006d002c002000fa5eae8b33002a4e08670d59e5670230'],
  ['右肺上叶GGO 8mm, 建议3个月复查。', 'gb18030', 'd3d2b7cec9cfd2b647474f20386d6d2c20bda8d2e933b8f6d4c2b8b4b2e9a1a3'],
  ['Größe', 'utf-8', '4772c3b6c39f65'],
  ['Größe', 'utf-16', 'fffe47007200f600df006500'],
  ['Größe', 'utf-16-be', '0047007200f600df0065'],
  ['Größe', 'cp1252', '4772f6df65'],
  ['für', 'cp1252', '66fc72'],
  ['Der Patient „fühlt sich gut“ – 37,5 °C', 'utf-8-sig', 'efbbbf4465722050617469656e7420e2809e66c3bc686c74207369636820677574e2809c20e280932033372c3520c2b043'],
  ['Der Patient „fühlt sich gut“ – 37,5 °C', 'utf-16-le', '4400650072002000500061007400690065006e00740020001e206600fc0068006c0074002000730069006300680020006700750074001c20200013202000330037002c0035002000b0004300'],
  ['Der Patient „fühlt sich gut“ – 37,5 °C', 'cp1252', '4465722050617469656e74208466fc686c742073696368206775749320962033372c3520b043'],
  ['Opacité alvéolaire à gauche, épanchement modéré.', 'latin-1', '4f7061636974e920616c76e96f6c6169726520e0206761756368652c20e970616e6368656d656e74206d6f64e972e92e'],
  ['12 ± 3 mm', 'latin-1', '313220b12033206d6d'],
  ['12 ± 3 mm', 'utf-16-be', '00310032002000b1002000330020006d006d'],
  ['No acute abnormality.', 'ascii', '4e6f2061637574652061626e6f726d616c6974792e'],
  ['No acute abnormality.', 'utf-16-le', '4e006f002000610063007500740065002000610062006e006f0072006d0061006c006900740079002e00'],
  ['No acute abnormality.', 'utf-16-be', '004e006f002000610063007500740065002000610062006e006f0072006d0061006c006900740079002e'],
  ['gut 👍', 'utf-8', '67757420f09f918d'],
  ['gut 👍', 'utf-16-be', '0067007500740020d83ddc4d'],
  ['gut 👍', 'utf-16-le', '67007500740020003dd84ddc'],
  ['Лёгкие без очаговых и инфильтративных изменений.', 'utf-8', 'd09bd191d0b3d0bad0b8d0b520d0b1d0b5d0b720d0bed187d0b0d0b3d0bed0b2d18bd18520d0b820d0b8d0bdd184d0b8d0bbd18cd182d180d0b0d182d0b8d0b2d0bdd18bd18520d0b8d0b7d0bcd0b5d0bdd0b5d0bdd0b8d0b92e'],
  ['Лёгкие без очаговых и инфильтративных изменений.', 'utf-16-le', '1b04510433043a0438043504200031043504370420003e044704300433043e0432044b04450420003804200038043d04440438043b044c044204400430044204380432043d044b0445042000380437043c0435043d0435043d04380439042e00'],
  ['Лёгкие без очаговых и инфильтративных изменений.', 'cp1251', 'cbb8e3eae8e520e1e5e720eef7e0e3eee2fbf520e820e8edf4e8ebfcf2f0e0f2e8e2edfbf520e8e7ece5ede5ede8e92e'],
  ['胸部X線写真で異常なし。心胸郭比は正常です。', 'utf-8', 'e883b8e983a858e7b79ae58699e79c9fe381a7e795b0e5b8b8e381aae38197e38082e5bf83e883b8e983ade6af94e381afe6ada3e5b8b8e381a7e38199e38082'],
  ['胸部X線写真で異常なし。心胸郭比は正常です。', 'shift_jis', '8bb995945890fc8eca905e82c588d98fed82c882b5814290538bb98a7394e482cd90b38fed82c582b78142'],
];

describe('texts in many encodings', () => {
  it.each(WRITTEN)('“%s” is read from %s', async (text, _, hex) => {
    const { candidates, problems } = await readAll(folderOf({ 'a.txt': Buffer.from(hex, 'hex') }));
    expect(problems).toEqual([]);
    expect((candidates[0].parts[0] as TextPart).text).toBe(text);
  });

  it('the same text in two encodings is one item', async () => {
    const [, , utf8] = WRITTEN[0];
    const [, , gb] = WRITTEN[5];
    const { candidates } = await readAll(
      folderOf({ 'a.txt': Buffer.from(utf8, 'hex'), 'b.md': Buffer.from(gb, 'hex') }),
    );
    expect(candidates).toHaveLength(2);
    expect(candidates[0].id).toBe(candidates[1].id);
  });

  it.each([
    ['a program', Buffer.from('7f454c460201010000000000000000000300', 'hex'), 'text-encoding-unknown'],
    [
      'random bytes',
      Buffer.from(Array.from({ length: 400 }, (_, i) => (i * 7919 + i * i * 31) & 255)),
      'text-encoding-unknown',
    ],
    ['UTF-8 with a broken end', Buffer.concat([Buffer.from('肺肺肺'), Buffer.from([0xe8])]), 'text-encoding-unknown'],
    ['half a character of UTF-16', Buffer.from('fffe410042', 'hex'), 'text-encoding-unknown'],
    ['nothing', Buffer.from(''), 'file-empty'],
    ['only a byte order mark', Buffer.from('efbbbf', 'hex'), 'file-empty'],
    ['only spaces', Buffer.from(' \n\t '), 'file-empty'],
  ])('%s is a problem, and the next file is read', async (_, bytes, code) => {
    const folder = folderOf({ 'a.txt': bytes, 'b.txt': 'good' });
    const { candidates, problems } = await readAll(folder);
    expect(problems.map((problem) => [problem.code, problem.source])).toEqual([[code, join(folder, 'a.txt')]]);
    expect(candidates.map(({ name }) => name)).toEqual(['b.txt']);
  });

  it('a stray control byte does not unmake a text', async () => {
    const text = `${'Herz normal groß. '.repeat(10)}\u001a`;
    const { candidates } = await readAll(folderOf({ 'a.txt': text }));
    expect((candidates[0].parts[0] as TextPart).text).toBe(text);
  });

  it('a long text is never cut', async () => {
    const text = `start ${'word '.repeat(400_000)}end`;
    const { candidates } = await readAll(folderOf({ 'a.txt': text }));
    expect((candidates[0].parts[0] as TextPart).text === text).toBe(true);
  });

  it.each<[string, Uint8Array]>([
    ['GB18030', Buffer.from('b2a1c0fdbac52cb1a8b8e60a412cb7ceb2bfb8d0c8be0a422cd0c4d3b0d5fdb3a30a', 'hex')],
    ['UTF-16 with a mark', Buffer.from('\ufeff病例号,报告\nA,肺部感染\nB,心影正常\n', 'utf16le')],
    ['UTF-16 without one', Buffer.from('病例号,报告\nA,肺部感染\nB,心影正常\n', 'utf16le')],
  ])('a table in %s is decoded as it streams', async (_, bytes) => {
    const { candidates, problems } = await readAll(join(folderOf({ 'a.csv': bytes }), 'a.csv'), {
      mapping: { text: '报告', id: '病例号' },
    });
    expect(problems).toEqual([]);
    expect(candidates.map(({ name, parts }) => [name, (parts[0] as TextPart).text])).toEqual([
      ['A', '肺部感染'],
      ['B', '心影正常'],
    ]);
  });

  it('a table whose first accent comes after a megabyte of ASCII is still Latin-1', async () => {
    const rows = `A,${'no finding '.repeat(100)}\n`.repeat(1200);
    const bytes = Buffer.concat([Buffer.from(`id,text\n${rows}`), Buffer.from('B,Gr\u00f6\u00dfe normal\n', 'latin1')]);
    const { candidates } = await readAll(join(folderOf({ 'a.csv': bytes }), 'a.csv'), { mapping: { text: 'text' } });
    expect(candidates).toHaveLength(1201);
    expect((candidates[1200].parts[0] as TextPart).text).toBe('Größe normal');
  });
});
