/** How explanations are drawn: words in their paragraphs, colours and outlines over a picture. */
import { describe, expect, it } from 'vitest';
import { colours, outline, weight } from '../../renderer/canvas/heat.ts';
import { paragraphs } from '../../renderer/canvas/shading.ts';

const spansOf = (text: string, words: Record<string, number>) =>
  Object.entries(words)
    .map(([word, value]) => ({ from: text.indexOf(word), to: text.indexOf(word) + word.length, value }))
    .toSorted((a, b) => a.from - b.from);

describe('A text', () => {
  const text = '  Fever   since Monday.\n\nNo rash;   - itching\n- 咳嗽 👍 cough ';

  it('reads the same with marks and without', () => {
    const whole = (pieces: { text: string }[][]) => pieces.map((paragraph) => paragraph.map((p) => p.text).join(''));
    const plain = ['Fever since Monday.', 'No rash;', '- itching', '- 咳嗽 👍 cough'];
    expect(whole(paragraphs(text))).toEqual(plain);
    expect(whole(paragraphs(text, spansOf(text, { Fever: 1, rash: -0.4, 咳嗽: 0.5, cough: 0.3 })))).toEqual(plain);
  });

  it('marks the words that say something, where they stand', () => {
    const marked = paragraphs(text, spansOf(text, { Fever: 1, Monday: 0.05, rash: -0.4, cough: 0.3 }));
    expect(marked.flat().filter(({ value }) => value !== 0)).toEqual([
      { text: 'Fever', value: 1 },
      { text: 'rash', value: -0.4 },
      { text: 'cough', value: 0.3 },
    ]);
  });
});

describe('A map over a picture', () => {
  const values = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0.1];
  const heat = { width: 4, height: 4, values };

  it('leaves clear what is weak, and tells for from against', () => {
    const pixels = colours(heat);
    const opacity = values.map((_, i) => pixels[4 * i + 3]);
    expect(opacity.map((a, i) => (a > 0 ? i : -1)).filter((i) => i >= 0)).toEqual([5, 10]);
    expect([...pixels.slice(20, 23)]).not.toEqual([...pixels.slice(40, 43)]);
    expect([0.05, 0.2, 0.4, 0.8, 1].map(weight)).toEqual(
      [0.05, 0.2, 0.4, 0.8, 1].map(weight).toSorted((a, b) => a - b),
    );
    expect(weight(-1)).toBe(1);
  });

  it('has a closed line around the strongest place, half way down', () => {
    const ends = [...outline(heat, 0.5).matchAll(/[ML]([\d.]+ [\d.]+)/g)].map(([, point]) => point);
    // the centre of value 5 is (1.5, 1.5)
    expect(new Set(ends)).toEqual(new Set(['1.50 1.00', '2.00 1.50', '1.50 2.00', '1.00 1.50']));
    for (const point of ends) expect(ends.filter((other) => other === point)).toHaveLength(2);
    expect(outline(heat, -0.5)).not.toBe('');
    expect(outline({ ...heat, values: values.map(() => 0) }, 0.5)).toBe('');
  });
});
