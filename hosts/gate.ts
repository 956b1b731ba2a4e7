/**
 * Who may ask the loopback host, and for what. Every request is refused unless it is what the
 * desk itself would send: our Host once, our Origin or none, no cross-site fetch, no body, no
 * service worker. Behind that lies the session: a one-time token (printed with the address, in
 * the part that browsers do not send) is exchanged for a cookie under a path that nobody can
 * guess. Cookies do not separate ports, paths do: the server of another port on this machine is
 * never sent ours. It promises nothing against whoever can act as the user.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

export interface Refusal {
  status: number;
  sentence: string;
}

const NOT_THE_DESK: Refusal = { status: 403, sentence: 'This address answers only the desk itself.' };
const NO_TARGET: Refusal = { status: 404, sentence: 'There is nothing at this address.' };
const NO_BODIES: Refusal = { status: 413, sentence: 'Nothing is uploaded here.' };
const OLD_HTTP: Refusal = { status: 505, sentence: 'Only HTTP/1.1 is spoken here.' };

export class Gate {
  /** Opens one session, once. */
  readonly token = secret(32);
  /** What everything that needs the session lies under: `/…`. */
  readonly place = `/${secret(16)}`;
  readonly #session = secret(32);
  #tokenIsFresh = true;
  #port = 0;

  /** The port is known only when the server listens; nobody is let in before. */
  listensAt(port: number): void {
    this.#port = port;
  }

  /** Why the request is not one that the desk would send, or null. Says nothing about the session. */
  refusal(request: IncomingMessage): Refusal | null {
    const { headers, headersDistinct } = request;
    if (request.httpVersion !== '1.1') return OLD_HTTP;
    const host = headers.host ?? '';
    const isOurHost = host === `127.0.0.1:${this.#port}` || host === `localhost:${this.#port}`;
    if (!isOurHost || headersDistinct.host?.length !== 1) return NOT_THE_DESK;
    if (headers.origin !== undefined && headers.origin !== `http://${host}`) return NOT_THE_DESK;
    if (!isOwnFetch(request)) return NOT_THE_DESK;
    if (!/^\/(?!\/)[!-[\]-~]*$/.test(request.url ?? '')) return NO_TARGET;
    const hasBody = (headers['content-length'] ?? '0') !== '0' || headers['transfer-encoding'] !== undefined;
    return hasBody ? NO_BODIES : null;
  }

  /** The part of the path behind our place, where the request comes with our session; else null. */
  inside(request: IncomingMessage): string | null {
    const path = (request.url ?? '').split('?')[0];
    if (path[this.place.length] !== '/' || !isSame(path.slice(0, this.place.length), this.place)) return null;
    const [name, value] = this.#cookie();
    const isOpen = (request.headers.cookie ?? '').split(/;\s*/).some((cookie) => {
      const at = cookie.indexOf('=');
      return cookie.slice(0, at) === name && isSame(cookie.slice(at + 1), value);
    });
    return isOpen ? path.slice(this.place.length) : null;
  }

  /** The cookie for whoever comes with the token first; null for everybody else. */
  exchange(request: IncomingMessage): string | null {
    const given = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (!isSame(given, this.token) || !this.#tokenIsFresh) return null;
    this.#tokenIsFresh = false;
    const [name, value] = this.#cookie();
    return `${name}=${value}; HttpOnly; SameSite=Strict; Path=${this.place}`;
  }

  /** The name differs by port, so that two hosts do not overwrite each other's. */
  #cookie(): [name: string, value: string] {
    return [`marginalia-${this.#port}`, `${this.place.slice(1)}.${this.#session}`];
  }
}

/**
 * What browsers say about where a request comes from. Programs other than browsers say nothing.
 * A link elsewhere may open the desk as a page, which shows nothing without a session; it may not
 * load, frame or fetch any of it.
 */
function isOwnFetch({ headers, method, url }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site'];
  const dest = headers['sec-fetch-dest'];
  if (headers['service-worker'] !== undefined || dest === 'serviceworker') return false;
  if (site === undefined || site === 'same-origin' || site === 'none') return true;
  const isLink = headers['sec-fetch-mode'] === 'navigate' && dest === 'document';
  return isLink && method === 'GET' && url === '/' && (site === 'cross-site' || site === 'same-site');
}

function secret(bytes: number): string {
  return randomBytes(bytes).toString('base64url');
}

/** In a time that tells nothing about where two secrets differ. */
function isSame(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
