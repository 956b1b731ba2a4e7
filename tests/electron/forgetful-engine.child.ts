/** The engine's process with a planted defect: it acknowledges an act without keeping it. */
import { Project } from '../../main/project.ts';

let acts = 1_000_000;
Project.prototype.annotate = ({ item, classes }) =>
  ({
    ...{ sequence: ++acts, item, act: 'label', classes: classes ?? null, text: null, retracts: null, repeats: null },
    ...{ annotator: 'nobody', at: 1, durationMs: 1 },
  }) as never;
await import('../../main/engine-process.ts');
