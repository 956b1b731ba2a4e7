/**
 * Entry of a throw-away process that tries one model or tokenizer from elsewhere. Reads one
 * JSON line and then the bytes from standard input, runs them within the limits that the
 * line gives, and prints one JSON line: `{result}`, `{error}`, or from the watchdog `{ended}`.
 * It has no project and writes nothing.
 */
import { EngineError } from './domain/errors.ts';
import { trialsHere, type TrialFeed } from './inference/index.ts';
import { keepWatch, type Limits } from './watchdog.ts';

/** What is to be tried, and how much follows the line. */
export type Request = { sizeBytes: number; limits: Limits } & (
  { kind: 'model'; feeds: TrialFeed[] } | { kind: 'tokenizer' }
);

async function readRequest(): Promise<{ request: Request; bytes: Buffer }> {
  let head = Buffer.alloc(0);
  let bytes: Buffer | null = null;
  let request: Request | null = null;
  let at = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    let rest = chunk;
    if (request === null || bytes === null) {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\n');
      if (end < 0) continue;
      request = JSON.parse(head.toString('utf8', 0, end)) as Request;
      bytes = Buffer.allocUnsafeSlow(request.sizeBytes);
      rest = head.subarray(end + 1);
    }
    at += rest.copy(bytes, at);
  }
  if (request === null || bytes === null || at < bytes.length) process.exit(1); // whoever asked is gone
  return { request, bytes };
}

const { request, bytes } = await readRequest();
await keepWatch(request.limits, 1);
let answer: unknown;
try {
  answer = {
    result:
      request.kind === 'model'
        ? await trialsHere.model(bytes, request.feeds)
        : await trialsHere.tokenizer(bytes.toString('utf8')),
  };
} catch (error) {
  answer = { error: error instanceof EngineError ? error : { said: error instanceof Error ? error.message : '' } };
}
// at once, and whatever still runs in other threads
process.stdout.write(`${JSON.stringify(answer)}\n`, () => process.exit(0));
