/**
 * Requests as bytes over a socket, because a browser or an HTTP library would not send most of
 * what is tried here; and a host in this process with the whole session at hand.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startWebHost, type WebHost } from '../../hosts/web.ts';
import { Engine } from '../../main/engine.ts';
import { placeOf } from '../served-desk.ts';

/** What came back: a status, or how the connection ended without one. */
export type Outcome = number | 'page' | 'closed' | 'refused' | 'silent';

export interface RawHost extends WebHost {
  readonly token: string;
  readonly engine: Engine;
  /** Of the session that was opened at the start. */
  readonly cookie: string;
  readonly place: string;
}

/** A host with the desk's folder holding one page and one asset, and its session opened. */
export async function startRawHost(port = 0): Promise<RawHost> {
  const desk = mkdtempSync(join(tmpdir(), 'marginalia-desk-'));
  writeFileSync(join(desk, 'index.html'), '<!doctype html><title>Marginalia</title>');
  writeFileSync(join(desk, 'desk.js'), 'export {};');
  const engine = new Engine({ host: 'web' });
  const host = await startWebHost(engine, { desk, port });
  const token = new URL(host.address).hash.replace('#token=', '');
  const [head] = await sendRaw(host.port, [
    `POST /session HTTP/1.1`,
    `Host: 127.0.0.1:${host.port}`,
    `Authorization: Bearer ${token}`,
  ]);
  const cookie = /^set-cookie: ([^;]+)/im.exec(head)?.[1] ?? '';
  return {
    ...host,
    token,
    engine,
    cookie,
    place: placeOf(cookie),
    async close() {
      await host.close();
      await engine.close();
      rmSync(desk, { recursive: true, force: true });
    },
  };
}

/** Lines joined as a request's head, or bytes as they are; gives what came back as text, and how it ended. */
export function sendRaw(
  port: number,
  request: readonly string[] | string | Buffer,
  { host = '127.0.0.1', patienceMs = 2000 } = {},
): Promise<[text: string, outcome: Outcome]> {
  const bytes = Array.isArray(request) ? `${request.join('\r\n')}\r\n\r\n` : (request as string | Buffer);
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, host, () => socket.write(bytes));
    const end = (outcome: Outcome) => {
      clearTimeout(timer);
      socket.destroy();
      const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
      resolve([text, status === undefined ? outcome : Number(status)]);
    };
    const timer = setTimeout(() => end('silent'), patienceMs);
    socket.on('data', (data) => {
      text += data.toString('latin1');
      if (text.includes('\r\n\r\n')) setImmediate(end, 'closed');
    });
    socket.on('close', () => end('closed'));
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED' ? 'refused' : 'closed'));
  });
}

/** A socket that is open, with what it is sent thrown away unless somebody listens. */
export function openSocket(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.on('error', reject);
  });
}
