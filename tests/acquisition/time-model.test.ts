import { describe, expect, it } from 'vitest';
import { expectedSeconds, fitTimeModel } from '../../main/acquisition/time-model.ts';

const records = Array.from({ length: 24 }, (_, i) => {
  const features = {
    letters: [0, 50, 400, 1500][i % 4],
    hasImage: i % 3 === 0,
    certainty: ((i * 7) % 10) / 10,
    position: i,
  };
  const seconds =
    2 + Math.sqrt(features.letters) / 4 + 3 * (1 - features.certainty) + (i === 5 ? 900 : 0) + (i % 5) * 0.3;
  return { features, seconds: Math.round(1000 * seconds) / 1000 };
});

describe('the time model', () => {
  it('is scikit-learn’s ridge regression of log seconds, far ones pulled in', () => {
    // Ridge(alpha=5) of scikit-learn 1.2.1 on the same rows, clipped at three robust deviations.
    const model = fitTimeModel(records)!;
    const weights = [0.1447225167047004, -0.0834252513879969, -0.09632318258084496, -0.06166801673940034];
    model.weights.forEach((weight, j) => expect(weight).toBeCloseTo(weights[j], 10));
    expect(model.spread).toBeCloseTo(0.5289969916316862, 10);
    const seconds = expectedSeconds(model, { letters: 400, hasImage: true, certainty: 0.2, position: 10 });
    expect(seconds).toBeCloseTo(12.036023201349286, 8);
  });

  it('expects of a longer text that it takes longer', () => {
    const model = fitTimeModel(records)!;
    const of = (letters: number) => expectedSeconds(model, { letters, hasImage: false, certainty: null, position: 3 });
    expect(of(2000)).toBeGreaterThan(of(100));
  });

  it('says nothing from fewer than twenty durations', () => {
    expect(fitTimeModel(records.slice(0, 19))).toBeNull();
  });

  it('gives the seconds themselves where all took the same', () => {
    const model = fitTimeModel(records.map(({ features }) => ({ features, seconds: 4 })))!;
    expect(expectedSeconds(model, records[0].features)).toBeCloseTo(4, 10);
  });
});
