/**
 * One desk's socket, as the contract may travel over it: text frames that are a call of a
 * procedure or its end, each of at most a megabyte; a few calls at a time, the others wait; and
 * answers only for somebody who reads them. Whatever else arrives closes the socket without a
 * word in any log; what a frame says is checked after this, by the contract's schemas.
 */
import type { RPCHandler } from '@orpc/server/ws';
import type { ServerOptions, WebSocket } from 'ws';
import { WHO_HEADER } from '../main/domain/caller.ts';

/** For the server of such sockets. A comment is the longest thing that anyone types. */
export const SOCKET_LIMITS: ServerOptions = {
  maxPayload: 1 << 20,
  maxFragments: 256,
  perMessageDeflate: false,
};

/** Calls that a socket may have under way; a desk has a handful. */
const MOST_CALLS = 16;
/** Answers that nobody has read, above which nobody is believed to read them. */
const MOST_UNREAD_BYTES = 64 << 20;
/** Two hundred characters, each as the nine that a percent-encoded one may take. */
const LONGEST_WHO = 1800;
const UNSUPPORTED = 1003;
const MALFORMED = 1007;

interface Frame {
  i: string;
  /** 4 ends a call; a call has none. */
  t?: 4;
}

/** Serves the contract on a socket until it closes. */
export function serveCalls(rpc: Pick<RPCHandler<object>, 'upgrade'>, ws: WebSocket): void {
  const underWay = new Set<string>();
  const waiting: { id: string; text: string }[] = [];
  let hear = (_event: { data?: string }): void => undefined;

  const goOn = () => {
    while (underWay.size < MOST_CALLS) {
      const call = waiting.shift();
      if (call === undefined) return ws.resume();
      underWay.add(call.id);
      hear({ data: call.text });
    }
    if (waiting.length > 0) ws.pause();
  };
  const listen = (type: 'message' | 'close', listener: typeof hear) => {
    if (type === 'message') hear = listener;
    else ws.on('close', () => listener({}));
  };
  const send = (frame: string) => {
    if (ws.bufferedAmount > MOST_UNREAD_BYTES) return ws.terminate();
    ws.send(frame);
    if (underWay.delete(/^\{"i":"([\w-]+)"/.exec(frame.slice(0, 80))?.[1] ?? '')) goOn();
  };

  ws.on('error', () => ws.terminate());
  ws.on('message', (data: Buffer, isBinary) => {
    if (isBinary) return ws.close(UNSUPPORTED);
    const text = data.toString();
    const frame = frameOf(text);
    if (frame === null) return ws.close(MALFORMED);
    if (frame.t === 4) {
      underWay.delete(frame.i);
      hear({ data: text });
    } else waiting.push({ id: frame.i, text });
    goOn();
  });
  void rpc.upgrade({ send, addEventListener: listen } as unknown as WebSocket, { context: {} });
}

/** `{i, p: {u, b, h}}` calls a procedure and says who calls, `{i, t: 4}` ends a call; nothing else is sent by a desk, and null for it. */
export function frameOf(text: string): Frame | null {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    return null;
  }
  if (!hasOnly(frame, ['i', 't', 'p']) || typeof frame.i !== 'string' || !/^[\w-]{1,64}$/.test(frame.i)) return null;
  if (frame.t === 4) return { i: frame.i, t: 4 };
  if (frame.t !== undefined || !hasOnly(frame.p, ['u', 'b', 'h'])) return null;
  const { u, b, h } = frame.p;
  const isCall = typeof u === 'string' && /^(\/[A-Za-z]{1,40}){1,4}$/.test(u);
  const isBody = b === undefined || hasOnly(b, ['json', 'meta']);
  return isCall && isBody && isCaller(h) ? { i: frame.i } : null;
}

/** The one header that a call may carry. */
function isCaller(headers: unknown): boolean {
  if (headers === undefined) return true;
  const who = hasOnly(headers, [WHO_HEADER]) ? headers[WHO_HEADER] : null;
  return typeof who === 'string' && who.length <= LONGEST_WHO && /^[\w%.!~*'()-]*$/.test(who);
}

/** An object with none but these keys of its own, `__proto__` not among them. */
function hasOnly(value: unknown, keys: readonly string[]): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).every((key) => keys.includes(key))
  );
}
