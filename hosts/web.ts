/**
 * The loopback web host: serves the desk, the contract over a WebSocket and pixels over a
 * read-only route, on 127.0.0.1 and a port of its own. It promises that no other web page
 * can use it: Host, Origin and Sec-Fetch-Site are checked on every request, and a one-time
 * token (printed with the address, in the part that browsers do not send) is exchanged for
 * a cookie before anything is answered.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { RPCHandler } from '@orpc/server/ws';
import { WebSocketServer } from 'ws';
import { EngineError } from '../main/domain/errors.ts';
import type { Engine } from '../main/engine.ts';
import { deskFile, SECURITY_HEADERS } from './desk-files.ts';

/** The largest message a window may send: a comment is the longest thing anyone types. */
const MAX_MESSAGE_BYTES = 1 << 20;
/** A window that is loaded anew is gone for less than this. */
const GONE_AFTER_MS = 5000;

export interface WebHost {
  /** With the one-time token; works once. */
  readonly address: string;
  readonly port: number;
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
  const token = secret();
  const session = secret();
  let tokenIsFresh = true;
  let port = 0;

  const isOurs = (request: IncomingMessage): boolean => {
    const host = request.headers.host ?? '';
    if (host !== `127.0.0.1:${port}` && host !== `localhost:${port}`) return false;
    const origin = request.headers.origin;
    if (origin !== undefined && origin !== `http://${host}`) return false;
    const site = request.headers['sec-fetch-site'];
    return site === undefined || site === 'same-origin' || site === 'none';
  };
  const cookieName = () => `marginalia-${port}`;
  const hasSession = (request: IncomingMessage): boolean =>
    (request.headers.cookie ?? '').split(/;\s*/).some((cookie) => {
      const [name, value = ''] = cookie.split('=');
      return name === cookieName() && isSame(value, session);
    });

  const server: Server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else reply(response, 500, 'The host could not answer this request.');
      console.error(error);
    });
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 20_000;
  server.maxHeadersCount = 60;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    if (!isOurs(request)) return reply(response, 403, 'This address answers only the desk itself.');
    const url = new URL(request.url ?? '/', `http://127.0.0.1:${port}`);
    if (request.method === 'POST' && url.pathname === '/session') return openSession(request, response);
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return reply(response, 405, 'Only GET is answered here.');
    if (url.pathname.startsWith('/pixels/')) {
      if (!hasSession(request)) return reply(response, 401, 'Open the address that the program printed.');
      return sendPixels(url, request, response);
    }
    return sendFile(url.pathname, request, response);
  }

  function openSession(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    const given = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    const isFirst = tokenIsFresh && isSame(given, token);
    if (!isFirst && !hasSession(request)) {
      return reply(response, 401, 'This address was used before. Start the program again for a new one.');
    }
    if (isFirst) {
      tokenIsFresh = false;
      response.setHeader('Set-Cookie', `${cookieName()}=${session}; HttpOnly; SameSite=Strict; Path=/`);
    }
    response.writeHead(204).end();
  }

  async function sendPixels(url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [item = '', index = '0'] = url.pathname.slice('/pixels/'.length).split('/');
    const side = url.searchParams.get('side');
    try {
      const pixels = await engine.pixels(decodeURIComponent(item), Number(index), side === null ? null : Number(side));
      response.setHeader('Content-Type', pixels.type);
      response.setHeader('Cache-Control', 'no-store');
      if (request.method === 'HEAD') response.end();
      else if (typeof pixels.body === 'string')
        createReadStream(pixels.body)
          .on('error', () => response.destroy())
          .pipe(response);
      else response.end(pixels.body);
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
    if (request.method === 'HEAD') response.end();
    else
      createReadStream(file.path)
        .on('error', () => response.destroy())
        .pipe(response);
  }

  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: (protocols) => (protocols.has('marginalia') ? 'marginalia' : false),
  });
  const rpc = new RPCHandler(engine.router);
  let gone: ReturnType<typeof setTimeout> | undefined;
  server.on('upgrade', (request, socket, head) => {
    const path = (request.url ?? '').split('?')[0];
    const isAllowed = path === '/rpc' && isOurs(request) && request.headers.origin !== undefined && hasSession(request);
    if (!isAllowed) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (ws) => {
      clearTimeout(gone);
      ws.on('error', () => ws.terminate());
      ws.on('close', () => {
        if (sockets.clients.size > 0) return;
        gone = setTimeout(() => engine.left(), options.goneAfterMs ?? GONE_AFTER_MS).unref();
      });
      void rpc.upgrade(ws, { context: {} });
    });
  });

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  port = (server.address() as AddressInfo).port;

  return {
    address: `http://127.0.0.1:${port}/#token=${token}`,
    port,
    async close() {
      for (const ws of sockets.clients) ws.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      clearTimeout(gone);
    },
  };
}

function secret(): string {
  return randomBytes(32).toString('base64url');
}

function isSame(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

function reply(response: ServerResponse, status: number, sentence: string): void {
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.writeHead(status).end(`${sentence}\n`);
}
