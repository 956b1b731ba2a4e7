/**
 * The one way from the desk to the engine: a message port from the shell in the desktop
 * window; in a browser a one-time token exchanged for a session, and a WebSocket that carries
 * the contract. Either way a reconnect that never gives up quietly. A call either returns what the engine answered or throws a Trouble; `connection-lost` means that
 * nobody knows whether the engine heard it. Pixels come by address, not by call.
 */
import { createORPCClient, ORPCError } from '@orpc/client';
import { RPCLink as PortLink } from '@orpc/client/message-port';
import { RPCLink } from '@orpc/client/websocket';
import type { ContractRouterClient } from '@orpc/contract';
import type { Change, contract } from '../main/api.ts';
import type { ShellDoor } from '../main/api-shell.ts';
import { encodeWho, WHO_HEADER } from '../main/domain/caller.ts';
import { openPort, shell } from './shell.ts';

export type Api = ContractRouterClient<typeof contract>;

/**
 * `refused`: the token is missing or no longer right; only the address the program prints helps.
 * `replaced`: the program was started again; as soon as its new address has been opened in this
 * browser, this page goes on.
 */
export type ConnectionState = 'connecting' | 'open' | 'reconnecting' | 'replaced' | 'refused';

/** What went wrong, in the engine's words: `code` chooses the translated title. */
export class Trouble extends Error {
  readonly code: string;
  readonly hint: string;

  constructor(code: string, message: string, hint: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }

  static of(error: unknown): Trouble {
    if (error instanceof Trouble) return error;
    if (error instanceof ORPCError) {
      const data = (error.data ?? {}) as { code?: unknown; message?: unknown; hint?: unknown };
      const code = typeof data.code === 'string' ? data.code : error.code;
      const message = typeof data.message === 'string' ? data.message : error.message;
      return new Trouble(code, message, typeof data.hint === 'string' ? data.hint : '');
    }
    return new Trouble('unexpected', error instanceof Error ? error.message : String(error), '');
  }
}

/** The shell starts a dead engine at once; a web host is started again by somebody. */
const FIRST_RETRY_MS = shell === null ? 300 : 20;
const LONGEST_RETRY_MS = 2000;

/** The one-time token from the page's address, which is cleaned of it; null when the session's cookie must do. */
export function takeToken(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token !== null) history.replaceState(null, '', location.pathname + location.search);
  return token;
}

/** Where this browser keeps, for this origin alone, the path that its session lies under. */
const PLACE_KEY = 'marginalia-place';
const place = () => localStorage.getItem(PLACE_KEY) ?? '';

/** The address of an item's pixels; `side` is the longest side wanted, absent for all of them. */
export function pixelsUrl(item: string, part: number, side?: number): string {
  return `${place()}/pixels/${encodeURIComponent(item)}/${part}${side === undefined ? '' : `?side=${side}`}`;
}

export interface Listener {
  state(state: ConnectionState): void;
  change(kind: Change['kind']): void;
  /** Who calls: the annotator's name, or '' while nobody has given one. */
  who(): string;
}

/** Connects and stays connected; `api` is always the present connection's. */
export class Engine {
  #api: Api | null = null;
  #state: ConnectionState = 'connecting';
  #waiting: (() => void)[] = [];
  readonly #listener: Listener;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  /** Calls on it reject as `connection-lost` while there is no connection. */
  get api(): Api {
    if (this.#api === null) throw new Trouble('connection-lost', 'The connection to the program is closed.', '');
    return this.#api;
  }

  /** Resolves when the connection is open, at once if it is. */
  opened(): Promise<void> {
    if (this.#state === 'open') return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Runs one call; every failure is a Trouble. */
  async call<T>(run: (api: Api) => Promise<T>): Promise<T> {
    const api = this.api;
    try {
      return await run(api);
    } catch (error) {
      if (this.#api !== api) throw new Trouble('connection-lost', 'The connection closed before the answer came.', '');
      throw Trouble.of(error);
    }
  }

  async connect(): Promise<void> {
    const token = takeToken();
    let delayMs = FIRST_RETRY_MS;
    for (;;) {
      const closed = shell === null ? await this.#attempt(token) : await this.#attemptPort(shell);
      if (closed === 'refused' && this.#state === 'connecting') return this.#become('refused');
      if (closed === 'served') delayMs = FIRST_RETRY_MS;
      if (this.#state !== 'connecting') this.#become(closed === 'refused' ? 'replaced' : 'reconnecting');
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      delayMs = Math.min(LONGEST_RETRY_MS, delayMs * 1.6);
    }
  }

  /** One connection from the exchange of the token to its end: `served` if it was ever open. */
  async #attempt(token: string | null): Promise<'refused' | 'served' | 'unreachable'> {
    try {
      const headers: HeadersInit = token === null ? {} : { Authorization: `Bearer ${token}` };
      const session = await fetch(`${place()}/session`, { method: 'POST', headers });
      if (session.status === 401 || session.status === 403) return 'refused';
      if (!session.ok) return 'unreachable';
      localStorage.setItem(PLACE_KEY, session.headers.get('Location') ?? '');
    } catch {
      return 'unreachable';
    }
    const address = new URL(`${place()}/rpc`, location.href);
    address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
    const websocket = new WebSocket(address, ['marginalia']);
    const api = createORPCClient<Api>(new RPCLink({ websocket, headers: () => this.#headers() }));
    let served = false;
    websocket.addEventListener('open', () => {
      served = true;
      this.#api = api;
      this.#become('open');
      void this.#listen(api);
    });
    await new Promise((resolve) => websocket.addEventListener('close', resolve, { once: true }));
    if (this.#api === api) this.#api = null;
    return served ? 'served' : 'unreachable';
  }

  /** One port from the shell to its end. It is open when the engine has answered over it. */
  async #attemptPort(door: ShellDoor): Promise<'served' | 'unreachable'> {
    const port = await openPort(door);
    let served = false;
    // Before oRPC, whose calls reject when the port closes: by then they are known to be lost.
    const ended = new Promise<void>((resolve) => {
      port.addEventListener('close', () => {
        this.#api = null;
        resolve();
      });
    });
    const api = createORPCClient<Api>(new PortLink({ port, headers: () => this.#headers() }));
    port.start();
    void this.#listen(api, () => {
      served = true;
      this.#api = api;
      this.#become('open');
    });
    await ended;
    return served ? 'served' : 'unreachable';
  }

  /** Every call says who makes it. */
  #headers(): Record<string, string> {
    const who = this.#listener.who();
    return who === '' ? {} : { [WHO_HEADER]: encodeWho(who) };
  }

  async #listen(api: Api, greeted?: () => void): Promise<void> {
    try {
      for await (const change of await api.changes()) {
        if (change.kind === 'hello') greeted?.();
        this.#listener.change(change.kind);
      }
    } catch {
      // The socket closed: connect() is already trying again.
    }
  }

  #become(state: ConnectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#listener.state(state);
    if (state === 'open') for (const go of this.#waiting.splice(0)) go();
  }
}
