/**
 * The loopback web host: serves the desk, the contract over a WebSocket and pixels over a
 * read-only route, on 127.0.0.1 and a port of its own. It promises that nobody but the desk
 * that was opened with the printed address can use it (`gate.ts` says how), and that nobody
 * else can stall it: it reads no bodies, waits for no slow client, and of the connections that
 * have shown no session it keeps only the newest.
 */
import { createReadStream, existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { RPCHandler } from '@orpc/server/ws';
import { WebSocketServer } from 'ws';
import { EngineError, loggable } from '../main/domain/errors.ts';
import type { Engine } from '../main/engine.ts';
import { servingOptions } from '../main/rpc.ts';
import { deskFile, SECURITY_HEADERS } from './desk-files.ts';
import { serveCalls, SOCKET_LIMITS } from './frames.ts';
import { Gate } from './gate.ts';

/** Connections without a session; a browser needs six. */
const MOST_STRANGERS = 256;
/** For a request's headers; a desk on the same machine needs a few milliseconds. */
const PATIENCE_MS = 5000;
/** A connection on which nothing moves: an answer that nobody reads. */
const STALLED_MS = 60_000;
/** A desk asks under the place that it knows, which may be a former one's. */
const SESSION = /^(\/[\w-]{1,64})?\/session$/;
/** A window that is loaded anew is gone for less than this. */
const GONE_AFTER_MS = 5000;

export interface WebHost {
  /** With the one-time token; works once. */
  readonly address: string;
  readonly port: number;
  /** When the address was used. */
  readonly opened: Promise<void>;
  close(): Promise<void>;
}

/** Starts serving `engine` with the desk that lies in `desk`. Port 0 lets the system choose. Errors: `source-missing` when the desk is not built. */
export async function startWebHost(
  engine: Engine,
  options: { desk: string; port?: number; goneAfterMs?: number },
): Promise<WebHost> {
  if (!existsSync(join(options.desk, 'index.html'))) {
    throw new EngineError(
      'source-missing',
      'The desk has not been built.',
      'Run “npm start” once, or “npm run build”.',
      {
        path: options.desk,
      },
    );
  }
  const gate = new Gate();
  const server: Server = createServer({ connectionsCheckingInterval: 1000 }, answer);
  server.on('checkContinue', answer);
  server.headersTimeout = PATIENCE_MS;
  server.requestTimeout = PATIENCE_MS;
  server.timeout = STALLED_MS;
  server.maxHeadersCount = 60;

  const opened = Promise.withResolvers<void>();
  const strangers = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    strangers.add(socket);
    socket.once('close', () => strangers.delete(socket));
    if (strangers.size > MOST_STRANGERS) strangers.values().next().value?.destroy();
  });

  /** What lies behind our place, for whoever has the session; see `Gate.inside`. */
  function inside(request: IncomingMessage): string | null {
    const path = gate.inside(request);
    if (path !== null) strangers.delete(request.socket);
    return path;
  }

  function answer(request: IncomingMessage, response: ServerResponse): void {
    handle(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else reply(response, 500, 'The host could not answer this request.');
      console.error(loggable(error));
    });
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    const refused = gate.refusal(request);
    if (refused !== null) {
      response.setHeader('Connection', 'close');
      return reply(response, refused.status, refused.sentence);
    }
    const path = (request.url ?? '').split('?')[0];
    const own = inside(request);
    if (request.method === 'POST' && SESSION.test(path)) return openSession(own !== null, request, response);
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return reply(response, 405, 'Only GET is answered here.');
    if (own?.startsWith('/pixels/')) return sendPixels(own, request, response);
    return sendFile(path, request, response);
  }

  /** A desk that has the session is told that it still holds; any other needs the token. */
  function openSession(isOpen: boolean, request: IncomingMessage, response: ServerResponse): void {
    const cookie = gate.exchange(request);
    if (!isOpen && cookie === null) {
      return reply(response, 401, 'This address was used before. Start the program again for a new one.');
    }
    if (cookie !== null) {
      response.setHeader('Set-Cookie', cookie);
      opened.resolve();
    }
    response.setHeader('Cache-Control', 'no-store');
    response.writeHead(204, { Location: gate.place }).end();
  }

  async function sendPixels(own: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [item = '', index = '0'] = own.slice('/pixels/'.length).split('/');
    const side = new URLSearchParams((request.url ?? '').split('?')[1]).get('side');
    try {
      const pixels = await engine.pixels(decodedItem(item), Number(index), side === null ? null : Number(side));
      response.setHeader('Content-Type', pixels.type);
      response.setHeader('Cache-Control', 'no-store');
      if (typeof pixels.body === 'string') send(pixels.body, request, response);
      else response.end(request.method === 'HEAD' ? undefined : pixels.body);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      response.setHeader('Content-Type', 'application/json');
      response.writeHead(404).end(JSON.stringify(error));
    }
  }

  async function sendFile(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const file = await deskFile(options.desk, path);
    if (file === null) return reply(response, 404, 'There is nothing at this address.');
    response.setHeader('Content-Type', file.type);
    response.setHeader('Cache-Control', file.cacheControl);
    send(file.path, request, response);
  }

  const sockets = new WebSocketServer({
    noServer: true,
    ...SOCKET_LIMITS,
    handleProtocols: (protocols) => (protocols.has('marginalia') ? 'marginalia' : false),
  });
  const rpc = new RPCHandler(engine.router, servingOptions());
  let gone: ReturnType<typeof setTimeout> | undefined;
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const { origin, upgrade } = request.headers;
    const isAsked = upgrade?.toLowerCase() === 'websocket' && origin !== undefined && gate.refusal(request) === null;
    if (!isAsked || inside(request) !== '/rpc') {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', () => socket.destroy());
      return;
    }
    sockets.handleUpgrade(request, socket, head, (ws) => {
      clearTimeout(gone);
      ws.on('close', () => {
        if (sockets.clients.size > 0) return;
        gone = setTimeout(() => engine.left(), options.goneAfterMs ?? GONE_AFTER_MS).unref();
      });
      serveCalls(rpc, ws);
    });
  });

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  gate.listensAt(port);

  return {
    address: `http://127.0.0.1:${port}/#token=${gate.token}`,
    port,
    opened: opened.promise,
    async close() {
      for (const ws of sockets.clients) ws.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      clearTimeout(gone);
    },
  };
}

/** A file's bytes, as fast as they are read; closed when the client goes away. */
function send(path: string, request: IncomingMessage, response: ServerResponse): void {
  if (request.method === 'HEAD') return void response.end();
  const file = createReadStream(path);
  file.once('open', () => {
    // The client may have gone while the file was opened; `pipeline` would throw, and end the host.
    if (response.destroyed || response.closed) file.destroy();
    else pipeline(file, response, () => undefined);
  });
  file.once('error', () => {
    if (response.headersSent) response.destroy();
    else reply(response, 404, 'The file is not there any more.');
  });
}

function decodedItem(item: string): string {
  try {
    return decodeURIComponent(item);
  } catch {
    return '';
  }
}

function reply(response: ServerResponse, status: number, sentence: string): void {
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.writeHead(status).end(`${sentence}\n`);
}
