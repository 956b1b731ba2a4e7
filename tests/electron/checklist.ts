/**
 * Electron's twenty security recommendations, each as a function from what a shell really does
 * to what is wrong with it, with a defect that it must find. The list is that of the page
 * “Security” in Electron's documentation; the words are ours. A table in one piece, because
 * it is read beside that page.
 */
import type { CustomScheme, WebPreferences } from 'electron';

/** What is looked at: values that the running shell handed to Electron, and its handlers. */
export interface Observed {
  /** What the window loads. */
  address: string;
  preferences: WebPreferences;
  schemes: readonly CustomScheme[];
  sandboxedBeforeReady: boolean;
  /** Whether a request for this address is let through. */
  lets(address: string): boolean;
  /** Whether a permission is granted, by the request handler and by the check. */
  grants(permission: string): { onRequest: boolean; onCheck: boolean };
  permissions: readonly string[];
  /** Policies of answers, good and bad ones. */
  policies: readonly string[];
  /** Whether the contents go there when a page, a redirect or a frame wants to. */
  goes(how: 'will-navigate' | 'will-redirect' | 'will-frame-navigate', address: string): boolean;
  opens(address: string): boolean;
  attachesWebview(): boolean;
  /** Of our own sources, what looks like these. */
  sources: readonly { path: string; text: string }[];
  version: { pinned: string; installed: string; known: readonly number[] };
  /** Whether a message from there is acted upon: a port connected, a question answered. */
  hears(sender: Sender): { connect: boolean; ask: boolean };
  /** Status of an answer of our scheme. */
  serves(address: string): number;
  fuses: Readonly<Record<string, boolean>>;
  /** What the preload script puts on the window, and what of Electron could be reached by it. */
  door: { names: readonly string[]; leaks: readonly string[] };
}

export type Sender = 'desk' | 'frame' | 'elsewhere' | 'pixels' | 'other window' | 'gone';

export interface Row {
  number: number;
  says: string;
  problems(shell: Observed): string[];
  /** A shell with a defect that `problems` must find. */
  planted(shell: Observed): Observed;
}

const wrong = (...found: (string | false)[]) => found.filter((one) => one !== false);
const preferring = (shell: Observed, change: WebPreferences): Observed => ({
  ...shell,
  preferences: { ...shell.preferences, ...change },
});

/** Addresses that nothing may lead to. */
const FOREIGN = [
  ...['http://example.org/', 'https://example.org/', 'ws://127.0.0.1:1/', 'wss://example.org/', 'ftp://example.org/'],
  ...['file:///etc/passwd', 'javascript:alert(1)', 'chrome://gpu', 'about:srcdoc', 'view-source:marginalia://desk/'],
  ...[
    'marginalia://desk.example.org/',
    'marginalia://other/',
    'marginalia://user@desk/',
    'marginalia:desk',
    'xmarginalia://desk/',
  ],
  ...['http://127.0.0.1/', 'http://localhost/', 'https://desk/', '//desk/', '', 'blob:https://example.org/1', '\u0000'],
];
/** Of ours, but no page. */
const NO_PAGES = [
  'marginalia://desk/pixels/a/0',
  'marginalia://desk/assets/x.js',
  'data:text/html,x',
  'blob:marginalia://desk/1',
];

const POLICY: Record<string, (values: string[]) => boolean> = {
  'default-src': (values) => values.join() === "'none'",
  'script-src': (values) => values.every((value) => ["'self'", "'wasm-unsafe-eval'"].includes(value)),
  'connect-src': (values) => values.join() === "'self'",
  'base-uri': (values) => values.join() === "'none'",
  'form-action': (values) => values.join() === "'none'",
  'frame-ancestors': (values) => values.join() === "'none'",
};

function policyProblems(policy: string): string[] {
  const directives = new Map(
    policy.split(';').map((directive) => {
      const [name, ...values] = directive.trim().split(/\s+/);
      return [name, values] as const;
    }),
  );
  const loose = [...directives].filter(([, values]) =>
    values.some((value) => /^\*|^https?:|^wss?:|unsafe-hashes|'unsafe-eval'/.test(value)),
  );
  return wrong(
    ...loose.map(([name]) => `${name} is loose in “${policy}”`),
    ...Object.entries(POLICY).map(
      ([name, holds]) => !(directives.has(name) && holds(directives.get(name)!)) && `${name} in “${policy}”`,
    ),
  );
}

/** What is said of each fuse; `WasmTrapHandlers` is left as Electron ships it, which is on, because the packager knows no name for it. */
const FUSES: Record<string, boolean> = {
  runAsNode: false,
  enableCookieEncryption: true,
  enableNodeOptionsEnvironmentVariable: false,
  enableNodeCliInspectArguments: false,
  enableEmbeddedAsarIntegrityValidation: true,
  onlyLoadAppFromAsar: true,
  loadBrowserProcessSpecificV8Snapshot: false,
  grantFileProtocolExtraPrivileges: false,
};

const mentions = (shell: Observed, pattern: RegExp, what: string) =>
  shell.sources.filter(({ text }) => pattern.test(text)).map(({ path }) => `${path} ${what}`);

export const CHECKLIST: readonly Row[] = [
  {
    number: 1,
    says: 'Only what comes with the program is loaded, by a scheme as strict as https',
    problems: (shell) =>
      wrong(
        shell.address !== 'marginalia://desk/' && `the window loads ${shell.address}`,
        !shell.schemes.some(
          ({ scheme, privileges }) =>
            scheme === 'marginalia' && privileges?.secure === true && privileges.standard === true,
        ) && 'the scheme is not secure',
        ...FOREIGN.map((address) => shell.lets(address) && `${address} is let through`),
        !shell.lets('marginalia://desk/assets/x.js') && 'the desk itself is not let through',
      ),
    planted: (shell) => ({ ...shell, lets: (address) => address.startsWith('https:') || shell.lets(address) }),
  },
  {
    number: 2,
    says: 'No Node in the window, its workers or its frames',
    problems: ({ preferences }) =>
      wrong(
        preferences.nodeIntegration !== false && 'nodeIntegration',
        preferences.nodeIntegrationInWorker !== false && 'nodeIntegrationInWorker',
        preferences.nodeIntegrationInSubFrames !== false && 'nodeIntegrationInSubFrames',
      ),
    planted: (shell) => preferring(shell, { nodeIntegrationInWorker: true }),
  },
  {
    number: 3,
    says: 'Contexts are isolated',
    problems: ({ preferences }) => wrong(preferences.contextIsolation !== true && 'contextIsolation'),
    planted: (shell) => preferring(shell, { contextIsolation: false }),
  },
  {
    number: 4,
    says: 'Every renderer is sandboxed, from before the start',
    problems: ({ preferences, sandboxedBeforeReady }) =>
      wrong(preferences.sandbox !== true && 'sandbox', !sandboxedBeforeReady && 'enableSandbox before ready'),
    planted: (shell) => preferring(shell, { sandbox: false }),
  },
  {
    number: 5,
    says: 'Every permission is refused, asked for or checked',
    problems: (shell) =>
      wrong(
        shell.permissions.length < 20 && 'the list of permissions was not found',
        ...shell.permissions.map((permission) => {
          const { onRequest, onCheck } = shell.grants(permission);
          return (onRequest || onCheck) && `${permission} is granted`;
        }),
      ),
    planted: (shell) => ({
      ...shell,
      grants: (permission) =>
        permission === 'notifications' ? { onRequest: true, onCheck: false } : shell.grants(permission),
    }),
  },
  {
    number: 6,
    says: 'webSecurity stays on',
    problems: ({ preferences }) => wrong(preferences.webSecurity !== true && 'webSecurity'),
    planted: (shell) => preferring(shell, { webSecurity: false }),
  },
  {
    number: 7,
    says: 'Every answer has a strict policy: no inline script, nothing from elsewhere',
    problems: ({ policies }) => [
      ...wrong(policies.length < 4 && 'too few answers'),
      ...policies.flatMap(policyProblems),
    ],
    planted: (shell) => ({
      ...shell,
      policies: shell.policies.map((policy) =>
        policy.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'"),
      ),
    }),
  },
  {
    number: 8,
    says: 'allowRunningInsecureContent stays off',
    problems: ({ preferences }) =>
      wrong(preferences.allowRunningInsecureContent !== false && 'allowRunningInsecureContent'),
    planted: (shell) => preferring(shell, { allowRunningInsecureContent: true }),
  },
  {
    number: 9,
    says: 'No experimental features',
    problems: ({ preferences }) => wrong(preferences.experimentalFeatures !== false && 'experimentalFeatures'),
    planted: (shell) => preferring(shell, { experimentalFeatures: true }),
  },
  {
    number: 10,
    says: 'No Blink features are switched on',
    problems: ({ preferences }) => wrong(preferences.enableBlinkFeatures !== undefined && 'enableBlinkFeatures'),
    planted: (shell) => preferring(shell, { enableBlinkFeatures: 'PreciseMemoryInfo' }),
  },
  {
    number: 11,
    says: 'There are no webviews, so none allows popups',
    problems: (shell) => [
      ...wrong(shell.preferences.webviewTag !== false && 'webviewTag'),
      ...mentions(shell, /<webview|allowpopups/i, 'has a webview'),
    ],
    planted: (shell) => ({ ...shell, sources: [{ path: 'x.svelte', text: '<webview allowpopups></webview>' }] }),
  },
  {
    number: 12,
    says: 'A webview that was made all the same is not attached',
    problems: (shell) => wrong(shell.attachesWebview() && 'a webview is attached'),
    planted: (shell) => ({ ...shell, attachesWebview: () => true }),
  },
  {
    number: 13,
    says: 'The window stays where it is',
    problems: (shell) =>
      (['will-navigate', 'will-redirect', 'will-frame-navigate'] as const).flatMap((how) =>
        wrong(
          ...[...FOREIGN, ...NO_PAGES].map((address) => shell.goes(how, address) && `${how} to ${address}`),
          !shell.goes(how, 'marginalia://desk/') && `${how} of the page itself is refused`,
        ),
      ),
    planted: (shell) => ({ ...shell, goes: (how, address) => how === 'will-redirect' || shell.goes(how, address) }),
  },
  {
    number: 14,
    says: 'No new window is opened, not even of the page itself',
    problems: (shell) =>
      wrong(
        ...[...FOREIGN, ...NO_PAGES, 'marginalia://desk/', 'about:blank'].map(
          (address) => shell.opens(address) && `a window of ${address}`,
        ),
      ),
    planted: (shell) => ({ ...shell, opens: (address) => address === 'about:blank' }),
  },
  {
    number: 15,
    says: 'Nothing is handed to the system to be opened',
    problems: (shell) => mentions(shell, /\bopenExternal\b|\bopenPath\b/, 'opens something outside'),
    planted: (shell) => ({ ...shell, sources: [{ path: 'electron/x.ts', text: 'shell.openExternal(url)' }] }),
  },
  {
    number: 16,
    says: 'Electron is one of the newest three majors, as far as what is installed here knows, and exactly pinned',
    problems: ({ version: { pinned, installed, known } }) =>
      wrong(
        !/^\d+\.\d+\.\d+$/.test(pinned) && `pinned as ${pinned}`,
        pinned !== installed && `${installed} is installed, ${pinned} is pinned`,
        known.length === 0 && 'no list of versions was found',
        Number(pinned.split('.')[0]) < Math.max(...known) - 2 && `there is an Electron ${Math.max(...known)}`,
      ),
    planted: (shell) => ({ ...shell, version: { ...shell.version, known: [...shell.version.known, 99] } }),
  },
  {
    number: 17,
    says: 'Messages are heard from the desk’s own page in the one window, and from nobody else',
    problems: (shell) =>
      (['frame', 'elsewhere', 'pixels', 'other window', 'gone', 'desk'] as const).flatMap((sender) => {
        const { connect, ask } = shell.hears(sender);
        const isOurs = sender === 'desk';
        return wrong(
          connect !== isOurs && `connect from ${sender}: ${connect}`,
          ask !== isOurs && `ask from ${sender}: ${ask}`,
        );
      }),
    planted: (shell) => ({
      ...shell,
      hears: (sender) => (sender === 'frame' ? { connect: false, ask: true } : shell.hears(sender)),
    }),
  },
  {
    number: 18,
    says: 'Files come by a scheme of its own, which leads out of nowhere',
    problems: (shell) =>
      wrong(
        shell.address.startsWith('file:') && 'the window loads a file',
        shell.fuses.grantFileProtocolExtraPrivileges && 'file: has privileges',
        ...OUTSIDE.map((path) => shell.serves(`marginalia://desk/${path}`) === 200 && `${path} is served`),
        shell.serves('marginalia://desk/') !== 200 && 'the desk is not served',
        shell.serves('marginalia://other/index.html') === 200 && 'another host is served',
      ),
    planted: (shell) => ({ ...shell, serves: (address) => (address.includes('..%2f') ? 200 : shell.serves(address)) }),
  },
  {
    number: 19,
    says: 'Every fuse is decided',
    problems: ({ fuses }) =>
      [...new Set([...Object.keys(FUSES), ...Object.keys(fuses)])]
        .filter((name) => fuses[name] !== FUSES[name])
        .map((name) => `${name} is ${fuses[name]}`),
    planted: (shell) => ({ ...shell, fuses: { ...shell.fuses, runAsNode: true } }),
  },
  {
    number: 20,
    says: 'The page gets three functions of ours and nothing of Electron',
    problems: ({ door }) =>
      wrong(
        door.names.join() !== 'ask,connect,listen' && `the door has ${door.names.join()}`,
        ...door.leaks.map((leak) => `${leak} reaches the page`),
      ),
    planted: (shell) => ({ ...shell, door: { ...shell.door, leaks: ['an event'] } }),
  },
];

/** Ways out of the desk's folder. */
export const OUTSIDE = [
  ...[
    '../package.json',
    '..%2fpackage.json',
    '..%2f..%2f..%2f..%2fetc%2fpasswd',
    '%2e%2e/package.json',
    '..\\package.json',
  ],
  ...[
    '..%5cpackage.json',
    '/etc/passwd',
    '%2fetc%2fpasswd',
    'index.html/../../package.json',
    'assets/..%2f..%2f..%2fpackage.json',
  ],
  ...[
    '%00',
    'index.html%00.js',
    '.',
    '%',
    '%c0%ae%c0%ae/package.json',
    'C:/Windows/win.ini',
    'assets',
    'shell/index.js',
    '../shell/index.js',
    '..%2fshell%2findex.js',
  ],
].filter((path) => path !== '.');
