/**
 * The table of commands: what each takes, does and answers. The shapes under `json` are
 * stable, because scripts depend on them; more fields may come. A command opens the
 * project, does one thing and closes it.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { ACCOUNT } from '../main/account.ts';
import { systemClock } from '../main/domain/clock.ts';
import { DEVICES } from '../main/domain/device.ts';
import { EngineError } from '../main/domain/errors.ts';
import type { Task } from '../main/domain/schema.ts';
import { audit } from './audit.ts';
import { choice, encoderOptions, list, number, outcome, percent, text, withProject, type Command } from './command.ts';
import { evidence, forecastLine } from './evidence.ts';
import { explain } from './explain.ts';
import { consistency, looks } from './looks.ts';
import { guarantee } from './guarantee.ts';
import { simulate } from './simulate.ts';
import { drift, subgroups, tray } from './tray.ts';
import { versions } from './versions.ts';

export const commands: Record<string, Command> = {
  new: {
    does: 'makes a project in an empty or new folder',
    positionals: ['DIR'],
    options: { classes: 'a,b,c', task: 'classify|classify-many', name: 'NAME' },
    async run(context) {
      const { Project } = await import('../main/project.ts');
      const dir = resolve(context.positionals[0]);
      const classes = list(context, 'classes');
      if (!classes)
        throw new EngineError('usage', 'The classes are missing.', 'Add them, for example --classes benign,malignant.');
      const task = choice<Task>(context, 'task', ['classify', 'classify-many'], 'classify');
      const project = await Project.create(dir, { name: text(context, 'name'), task, classes });
      await project.close();
      return { json: { dir, task, classes }, text: `Made ${dir} with the classes ${classes.join(', ')}.` };
    },
  },
  import: {
    does: 'imports folders, images, texts, CSV, TSV, JSONL',
    positionals: ['DIR', 'SOURCE…'],
    options: {
      text: 'F',
      image: 'F',
      numbers: 'F,F|auto',
      id: 'F',
      group: 'F',
      label: 'F',
      attributes: 'F,F',
      'labels-from-folders': 'flag',
      labels: 'given|oracle',
    },
    run: (context) =>
      withProject(context.positionals[0], context, async (project) => {
        const numbers = list(context, 'numbers');
        const hasLabels = context.values['labels-from-folders'] === true || text(context, 'label') !== undefined;
        const { finished } = project.startImport({
          sources: context.positionals.slice(1).map((source) => resolve(source)),
          mapping: {
            text: text(context, 'text'),
            image: text(context, 'image'),
            id: text(context, 'id'),
            group: text(context, 'group'),
            label: text(context, 'label'),
            attributes: list(context, 'attributes'),
            numbers: numbers?.length === 1 && numbers[0] === 'auto' ? 'auto' : numbers,
          },
          labelsFromFolders: context.values['labels-from-folders'] === true,
          labels: hasLabels ? choice(context, 'labels', ['given', 'oracle'], 'given') : 'none',
        });
        const job = await finished;
        const result = outcome(job) as { added: number; duplicates: number; oracle: number };
        const problems = project
          .importProblems(job.id)
          .map(({ source, code, message, hint }) => ({ source, code, message, hint }));
        const lines = problems.slice(0, 20).map((p) => `  ${p.source}: ${p.message}`);
        if (problems.length > 20) lines.push(`  and ${problems.length - 20} more`);
        return {
          json: { ...result, problems },
          text: [
            `${result.added} items added, ${result.duplicates} were there already, ${problems.length} problems.`,
            ...lines,
          ].join('\n'),
        };
      }),
  },
  queue: {
    does: 'shows the next items to ask, and why',
    positionals: ['DIR'],
    options: { count: 'N' },
    run: (context) =>
      withProject(context.positionals[0], context, async (project) => {
        const entries = await project.queue(number(context, 'count', 10, (n) => n >= 1 && n <= 100_000));
        const items = entries.map(({ view, ...entry }) => ({ ...entry, name: view.name }));
        return {
          json: { items },
          text: items
            .map(
              (e) =>
                `${String(e.rank).padStart(4)}  ${e.item}  ${e.strategy.padEnd(14)} ${e.score.toFixed(4)}  ${e.name}`,
            )
            .join('\n'),
        };
      }),
  },
  label: {
    does: 'records one label (several classes separated by commas where the task allows)',
    positionals: ['DIR', 'ITEM', 'CLASS'],
    options: { annotator: 'NAME', asked: 'flag' },
    run: (context) =>
      withProject(context.positionals[0], context, async (project) => {
        const [, item, given] = context.positionals;
        const classes = project.status().task === 'classify' ? [given] : given.split(',').filter((name) => name !== '');
        const annotation = project.annotate({
          item: project.resolveItem(item),
          act: 'label',
          classes,
          annotator: text(context, 'annotator') ?? 'cli',
          durationMs: 0,
          asked: context.values.asked === true,
        });
        const { sequence, repeats } = annotation;
        const kept = repeats === null ? '' : ', a second reading that changes no label';
        return {
          json: annotation,
          text: `${annotation.item} is ${classes.join(', ')} (annotation ${sequence}${kept}).`,
        };
      }),
  },
  train: {
    does: 'trains on the labels and makes a model version; with --fine-tune also networks, in minutes',
    positionals: ['DIR'],
    options: { 'fine-tune': 'flag', flip: 'flag', device: DEVICES.join('|') },
    run: (context) =>
      withProject(context.positionals[0], context, async (project) => {
        const device = context.values.device === undefined ? undefined : choice(context, 'device', DEVICES, 'auto');
        // Refused here, before any work; heads are fitted on the processor whatever is chosen.
        if (device) await project.devices.resolve(device);
        const job = context.values['fine-tune']
          ? project.tune({ device, flip: context.values.flip === true })
          : project.train();
        const result = outcome(await job.finished) as { version: number };
        const version = project.versions().find((entry) => entry.version === result.version);
        const audit = version?.audit;
        return {
          json: { ...result, ...version },
          text: `Version ${result.version}: ${version?.labels} labels, audit accuracy ${percent(audit?.accuracy ?? null)} of ${audit?.n} (${version?.state}).`,
        };
      }),
  },
  predict: {
    does: 'gives the live version’s calibrated probabilities',
    positionals: ['DIR'],
    options: { items: 'ID,ID' },
    run: (context) =>
      withProject(context.positionals[0], context, async (project) => {
        const items = list(context, 'items')?.map((item) => project.resolveItem(item));
        const predictions = await project.predict(items);
        const text_ = predictions.items.map(
          (p) =>
            `${p.item}  ${predictions.classes.map((name, i) => `${name} ${p.probabilities[i].toFixed(3)}`).join('  ')}`,
        );
        return { json: predictions, text: text_.join('\n') };
      }),
  },
  explain,
  looks,
  consistency,
  tray,
  subgroups,
  drift,
  status: {
    does: 'shows counts, live version, audit accuracy, settled and uncertain items, forecast',
    positionals: ['DIR'],
    run: (context) =>
      withProject(context.positionals[0], context, async (project) => {
        await project.refreshEvidence();
        const status = project.status();
        const { audit } = status;
        return {
          json: status,
          text: [
            `${status.name}: ${status.items} items, ${status.labelled} labelled, classes ${status.classes.join(', ')}.`,
            status.modelVersion === null ? 'No model version.' : `Live version ${status.modelVersion}.`,
            `Audit accuracy ${percent(audit.accuracy)} (${percent(audit.low)} – ${percent(audit.high)}, n = ${audit.n}).`,
            `${status.settled} settled, ${status.uncertain} uncertain.`,
            ...(status.forecast ? [forecastLine(status.forecast)] : []),
            `Computes on ${status.device} (chosen: ${status.deviceChoice}), ${status.deviceSpeed.toPrecision(2)} times the processor’s speed.`,
          ].join('\n'),
        };
      }),
  },
  evidence,
  simulate,
  guarantee,
  encoder: {
    does: 'lists the encoders, or imports one: an ONNX file with an image or a token input',
    positionals: ['DIR', 'MODEL?'],
    options: {
      kind: 'image|text',
      tokenizer: 'F',
      'max-tokens': 'N',
      side: 'N',
      mean: 'r,g,b',
      std: 'r,g,b',
      output: 'NAME',
      inspect: 'flag',
      own: 'flag',
    },
    run: (context) =>
      withProject(context.positionals[0], context, async (project) => {
        const file = context.positionals[1];
        if (context.values.own === true) outcome(await project.useOwnEncoder().finished);
        else if (file !== undefined) {
          const told = encoderOptions(context, resolve(file));
          const described = await project.inspectEncoder(told);
          if (context.values.inspect === true) {
            const outputs = described.outputs.map(({ name, dims }) => `  ${name} [${dims.join(', ')}]`);
            return {
              json: described,
              text: [`Would use “${described.output}”, ${described.dims} wide. Its outputs:`, ...outputs].join('\n'),
            };
          }
          outcome(await (await project.importEncoder(told)).finished);
        }
        const encoders = project.encoders();
        return {
          json: { encoders },
          text: encoders
            .map(
              (e) =>
                `${e.live ? '*' : ' '} ${e.version}  ${e.kind}  ${e.dims} wide  ${e.imported ? 'imported' : `made from ${e.fittedOn} items`}`,
            )
            .join('\n'),
        };
      }),
  },
  devices: {
    does: 'tries what this machine can compute on, and lists it; --device chooses',
    positionals: ['DIR'],
    options: { device: DEVICES.join('|'), again: 'flag' },
    run: (context) =>
      withProject(context.positionals[0], context, async (project) => {
        if (context.values.device !== undefined)
          await project.devices.choose(choice(context, 'device', DEVICES, 'auto'));
        const devices = await project.devices.tried(context.values.again === true);
        return {
          json: { choice: project.devices.choice, devices },
          text: devices
            .map(({ device, state, speed, reason, chosen }) => {
              const said = speed === null ? reason : `${speed.toPrecision(2)} times the processor’s speed`;
              return `${chosen ? '*' : ' '} ${device.padEnd(7)} ${state.padEnd(8)} ${said}`;
            })
            .join('\n'),
        };
      }),
  },
  versions,
  promote: {
    does: 'makes a version the live one',
    positionals: ['DIR', 'V'],
    run: (context) =>
      withProject(context.positionals[0], context, async (project) => {
        const version = Number(context.positionals[1]);
        project.promote(version, ACCOUNT);
        return { json: { modelVersion: version }, text: `Version ${version} is live.` };
      }),
  },
  rollback: {
    does: 'goes back to the version that was live before',
    positionals: ['DIR'],
    run: (context) =>
      withProject(context.positionals[0], context, async (project) => {
        const version = project.rollback(ACCOUNT);
        return { json: { modelVersion: version }, text: `Version ${version} is live.` };
      }),
  },
  export: {
    does: 'writes the labels to a file',
    positionals: ['DIR', 'OUT'],
    options: { format: 'csv|jsonl' },
    run: (context) =>
      withProject(context.positionals[0], context, async (project) => {
        const file = resolve(context.positionals[1]);
        const format = text(context, 'format') ?? 'csv';
        const labels = project.export(format, file);
        return { json: { file, format, labels }, text: `Wrote ${labels} labels to ${file}.` };
      }),
  },
  verify: {
    does: 'checks every annotation, entry of the audit trail, blob and derived state',
    positionals: ['DIR'],
    run: (context) =>
      withProject(context.positionals[0], context, async (project) => {
        const result = project.verify();
        const lines = result.problems.map((p) => `  ${p.where}: ${p.message}`);
        return {
          json: result,
          text: result.ok ? 'Everything is as it was recorded.' : ['Something was changed:', ...lines].join('\n'),
          exitCode: result.ok ? 0 : 1,
        };
      }),
  },
  audit,
  backup: {
    does: 'writes the whole project to one file, also while it is being used',
    positionals: ['DIR', 'FILE'],
    run: (context) =>
      withProject(context.positionals[0], context, async (project) => {
        const file = resolve(context.positionals[1]);
        await project.safekeeping.backup(file, ACCOUNT);
        return { json: { file }, text: `Wrote ${file}.` };
      }),
  },
  restore: {
    does: 'makes a project from a backup file',
    positionals: ['FILE', 'DIR'],
    async run(context) {
      const { restoreBackup } = await import('../main/store/index.ts');
      const [file, dir] = context.positionals.map((path) => resolve(path));
      restoreBackup(file, dir, { who: ACCOUNT, clock: systemClock });
      return { json: { dir }, text: `Restored ${dir}.` };
    },
  },
  sample: {
    does: 'makes the built-in sample project (simulated data)',
    positionals: ['DIR'],
    options: { kind: 'cells|notes', seed: 'N' },
    async run(context) {
      const { createSampleProject } = await import('./sample.ts');
      const dir = resolve(context.positionals[0]);
      const made = await createSampleProject(dir, {
        kind: choice(context, 'kind', ['cells', 'notes'], 'cells'),
        seed: number(context, 'seed', 1),
        progress: context.progress,
      });
      return { json: made, text: `Made the sample project ${dir} with ${made.added} simulated items.` };
    },
  },
  serve: {
    does: 'serves the desk to this machine’s browser',
    positionals: ['DIR?'],
    options: { port: 'N', open: 'flag' },
    async run(context) {
      const { serve } = await import('./serve.ts');
      const dir = context.positionals[0] === undefined ? null : resolve(context.positionals[0]);
      if (dir !== null && !existsSync(dir)) {
        throw new EngineError(
          'project-not-found',
          `There is no project in ${dir}.`,
          'Check the path, or make one with “marginalia new”.',
          { dir },
        );
      }
      await serve(dir, {
        port: number(context, 'port', 0, (n) => Number.isInteger(n) && n >= 0 && n < 65_536),
        open: context.values.open === true,
        json: context.values.json === true,
      });
      return undefined;
    },
  },
};
