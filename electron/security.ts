/**
 * What the window may and may not: its preferences, the scheme that serves the desk and
 * pixels, and everything that is refused (other addresses, windows, frames, permissions,
 * downloads, certificates, the network as a whole). Each of Electron's twenty
 * recommendations is a row of tests/electron/checklist.test.ts. Needs nothing of Electron
 * itself: what it guards is handed to it.
 */
import type {
  App,
  CustomScheme,
  IpcMainEvent,
  IpcMainInvokeEvent,
  Session,
  WebContents,
  WebPreferences,
} from 'electron';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { PixelsFound } from '../main/api-shell.ts';
import { deskFile, SECURITY_HEADERS } from '../hosts/desk-files.ts';

const SCHEME = 'marginalia';
/** The one page there is. */
export const DESK_ADDRESS = `${SCHEME}://desk/`;

/** Registered before the app is ready. It is as strict as https, and CSP, CORS and service workers get no exception. */
export const SCHEMES: CustomScheme[] = [
  { scheme: SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true, codeCache: true } },
];

/** Where nobody listens: what would go to the network goes there, the machine itself not excepted. */
const NOWHERE = '127.0.0.1:9';
const NO_EXCEPTION = '<-loopback>';

/**
 * For Chromium: no name resolves, every connection goes to a proxy that there is not, WebRTC
 * sends nothing past it, and no service of its own asks around.
 */
export const SWITCHES: readonly (readonly [name: string, value?: string])[] = [
  ['host-resolver-rules', 'MAP * ~NOTFOUND'],
  ['proxy-server', NOWHERE],
  ['proxy-bypass-list', NO_EXCEPTION],
  ['webrtc-ip-handling-policy', 'disable_non_proxied_udp'],
  ['disable-background-networking'],
  ['disable-component-update'],
  ['disable-domain-reliability'],
  ['no-pings'],
];

export function webPreferences(preload: string, devTools: boolean): WebPreferences {
  return {
    preload,
    devTools,
    sandbox: true,
    contextIsolation: true,
    nodeIntegration: false,
    nodeIntegrationInWorker: false,
    nodeIntegrationInSubFrames: false,
    webSecurity: true,
    allowRunningInsecureContent: false,
    experimentalFeatures: false,
    webviewTag: false,
    navigateOnDragDrop: false,
    plugins: false,
    spellcheck: false,
  };
}

/** Of our scheme and host, exactly as they are written. */
export function isOurs(address: string): boolean {
  const url = URL.parse(address);
  return url?.protocol === `${SCHEME}:` && url.host === 'desk' && url.username === '' && url.password === '';
}

/** What the window itself may show: the page, and nothing else that our scheme serves. */
export function isDeskPage(address: string): boolean {
  return isOurs(address) && ['/', '/index.html'].includes(new URL(address).pathname);
}

/** Whether a message comes from the desk's own page, in the one window there is, and from no frame inside it. */
export function isOurSender(event: IpcMainEvent | IpcMainInvokeEvent, window: WebContents | undefined): boolean {
  const { sender, senderFrame: frame } = event;
  return sender === window && frame !== null && frame.parent === null && isDeskPage(frame.url);
}

/** Answers our scheme: the desk's files, and pixels, which the engine is asked for. */
export async function answer(
  request: Request,
  parts: {
    desk: string;
    pixels(item: string, part: number, side: number | null): Promise<PixelsFound | null>;
  },
): Promise<Response> {
  const reply = (status: number, body: BodyInit | null = null, headers: Record<string, string> = {}) =>
    new Response(request.method === 'HEAD' ? null : body, { status, headers: { ...SECURITY_HEADERS, ...headers } });
  if (!isOurs(request.url)) return reply(403);
  if (request.method !== 'GET' && request.method !== 'HEAD') return reply(405);
  const url = new URL(request.url);
  const [, first, item = '', part = '0'] = url.pathname.split('/');
  if (first !== 'pixels') {
    const file = await deskFile(parts.desk, url.pathname);
    const body = file && (await streamOf(file.path));
    if (!body) return reply(404);
    return reply(200, body, { 'Content-Type': file.type, 'Cache-Control': file.cacheControl });
  }
  const wanted = url.searchParams.get('side');
  const [name, index, side] = [decoded(item), Number(part), wanted === null ? null : Number(wanted)];
  if (!/^.{1,512}$/.test(name) || !Number.isInteger(index) || (side !== null && !Number.isFinite(side)))
    return reply(404);
  const answered = await parts.pixels(name, index, side);
  if (!answered) return reply(503);
  const { found } = answered;
  const body = typeof found?.body === 'string' ? await streamOf(found.body) : found?.body;
  if (!found || !body) return reply(404);
  return reply(200, body as BodyInit, { 'Content-Type': found.type, 'Cache-Control': 'no-store' });
}

/** A file's bytes as they are read; null where it cannot be. */
async function streamOf(path: string): Promise<BodyInit | null> {
  try {
    return Readable.toWeb((await open(path)).createReadStream()) as unknown as BodyInit;
  } catch {
    return null;
  }
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return '';
  }
}

/** The session: no permission, no device, no download, no dictionary, and no request but to our scheme. */
export async function lockSession(session: Session, devTools: boolean): Promise<void> {
  session.setPermissionRequestHandler((_contents, _permission, callback) => callback(false));
  session.setPermissionCheckHandler(() => false);
  session.setDevicePermissionHandler(() => false);
  session.setDisplayMediaRequestHandler((_request, callback) => callback({}));
  session.setBluetoothPairingHandler((_details, callback) => callback({ confirmed: false }));
  session.setCertificateVerifyProc((_request, callback) => callback(-2));
  session.setSpellCheckerEnabled(false);
  session.on('will-download', (event) => event.preventDefault());
  session.webRequest.onBeforeRequest(({ url }, callback) => callback({ cancel: !isAllowed(url, devTools) }));
  await session.setProxy({ mode: 'fixed_servers', proxyRules: NOWHERE, proxyBypassRules: NO_EXCEPTION });
}

/** What never leaves the machine: our scheme, what the page itself made, and a developer's tools. */
function isAllowed(address: string, devTools: boolean): boolean {
  if (isOurs(address) || address.startsWith('data:')) return true;
  if (address.startsWith('blob:')) return isOurs(address.slice('blob:'.length));
  return devTools && address.startsWith('devtools://');
}

/** One window's contents: it stays on the desk's page and opens nothing. */
export function lockContents(contents: WebContents): void {
  const stay = (event: { url: string; preventDefault(): void }) => {
    if (!isDeskPage(event.url)) event.preventDefault();
  };
  contents.on('will-navigate', stay);
  contents.on('will-redirect', stay);
  // Frames there are none: where one came to be, it shows nothing.
  contents.on('will-frame-navigate', stay);
  contents.on('will-attach-webview', (event) => event.preventDefault());
  contents.on('select-bluetooth-device', (event, _devices, callback) => {
    event.preventDefault();
    callback('');
  });
  contents.setWindowOpenHandler(() => ({ action: 'deny' }));
  contents.setWebRTCIPHandlingPolicy('disable_non_proxied_udp');
}

/** The whole program: every contents that ever comes to be is locked, and no certificate is believed. */
export function lockApp(app: App): void {
  app.enableSandbox();
  for (const [name, value] of SWITCHES) app.commandLine.appendSwitch(name, value);
  app.on('web-contents-created', (_event, contents) => lockContents(contents));
  app.on('certificate-error', (event, _contents, _url, _error, _certificate, callback) => {
    event.preventDefault();
    callback(false);
  });
  app.on('select-client-certificate', (event, _contents, _url, _list, callback) => {
    event.preventDefault();
    callback();
  });
}
