/**
 * One desk's socket, as the contract may travel over it: text frames that are a call of a
 * procedure or its end, each of at most a megabyte, from somebody who also reads the answers.
 * Whatever else arrives closes the socket without a word in any log; what a frame says is
 * checked after this, by the contract's schemas.
 */
import type { RPCHandler } from '@orpc/server/ws';
import type { ServerOptions, WebSocket } from 'ws';

/** For the server of such sockets. A comment is the longest thing that anyone types. */
export const SOCKET_LIMITS: ServerOptions = {
  maxPayload: 1 << 20,
  maxFragments: 256,
  perMessageDeflate: false,
};

/** Answers that nobody has read, above which nobody is believed to read them. */
const MOST_UNREAD_BYTES = 64 << 20;
const UNSUPPORTED = 1003;
const MALFORMED = 1007;

/** Serves the contract on a socket until it closes. */
export function serveCalls(rpc: Pick<RPCHandler<object>, 'upgrade'>, ws: WebSocket): void {
  const hasNoReader = (): boolean => {
    if (ws.bufferedAmount <= MOST_UNREAD_BYTES) return false;
    ws.terminate();
    return true;
  };
  ws.on('error', () => ws.terminate());
  const listen = (type: 'message' | 'close', listener: (event: { data?: string }) => void) => {
    if (type === 'close') return ws.on('close', () => listener({}));
    return ws.on('message', (data: Buffer, isBinary) => {
      const text = data.toString();
      if (isBinary) ws.close(UNSUPPORTED);
      else if (!isFrame(text)) ws.close(MALFORMED);
      else if (!hasNoReader()) listener({ data: text });
    });
  };
  const checked = { send: ws.send.bind(ws), addEventListener: listen as unknown as WebSocket['addEventListener'] };
  void rpc.upgrade(checked, { context: {} });
}

/** `{i, p: {u, b}}` calls a procedure, `{i, t: 4}` ends a call; nothing else is sent by a desk. */
export function isFrame(text: string): boolean {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    return false;
  }
  if (!hasOnly(frame, ['i', 't', 'p']) || typeof frame.i !== 'string' || !/^[\w-]{1,64}$/.test(frame.i)) return false;
  if (frame.t === 4) return true;
  if (frame.t !== undefined || !hasOnly(frame.p, ['u', 'b'])) return false;
  const { u, b } = frame.p;
  return (
    typeof u === 'string' && /^(\/[A-Za-z]{1,40}){1,4}$/.test(u) && (b === undefined || hasOnly(b, ['json', 'meta']))
  );
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
