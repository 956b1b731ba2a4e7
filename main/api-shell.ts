/**
 * What the desktop shell says to the engine's process and to the window, and hears from
 * them, beside THE contract (`api.ts`), whose frames it hands on without reading them. Both
 * ends check every message against these schemas, and drop one that is not in them. All of it
 * is JSON: Electron's V8 writes structured clones that the carried Node's cannot read.
 */
import * as v from 'valibot';
import { ERROR_CODES, type ErrorShape } from './domain/errors.ts';

/** The largest frame a window may send: a comment is the longest thing anyone types. */
export const MOST_FRAME_BYTES = 1 << 20;

const Serial = v.pipe(v.number(), v.integer(), v.minValue(1));
const Path = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));

/** One message of the contract, as the RPC library wrote it; from a window not an endless one. */
const Frame = v.string();
const WindowFrame = v.pipe(Frame, v.maxLength(MOST_FRAME_BYTES));

export const ToEngine = v.variant('kind', [
  /** The first message: what to open, if anything. */
  v.object({ kind: v.literal('start'), project: v.nullable(Path) }),
  v.object({ kind: v.literal('connect'), desk: Serial }),
  v.object({ kind: v.literal('frame'), desk: Serial, frame: WindowFrame }),
  v.object({ kind: v.literal('disconnect'), desk: Serial }),
  v.object({
    kind: v.literal('pixels'),
    ask: Serial,
    item: v.pipe(v.string(), v.maxLength(512)),
    part: v.number(),
    side: v.nullable(v.number()),
  }),
  /** The last window was closed. */
  v.object({ kind: v.literal('left') }),
  /** Closes the project and ends. */
  v.object({ kind: v.literal('close') }),
]);

const TroubleShape = v.looseObject({ code: v.picklist(ERROR_CODES), message: v.string(), hint: v.string() });
const Trouble = v.custom<ErrorShape>((value) => v.is(TroubleShape, value));

/** A job that runs or waits; `progress` in [0, 1], null where the end is not known. */
const Work = v.object({ kind: v.string(), progress: v.nullable(v.number()), paused: v.boolean() });

export const FromEngine = v.variant('kind', [
  /** The project was tried; from here on frames are answered. */
  v.object({
    kind: v.literal('ready'),
    pid: v.number(),
    version: v.string(),
    node: v.string(),
    trouble: v.nullable(Trouble),
  }),
  v.object({ kind: v.literal('frame'), desk: Serial, frame: Frame }),
  v.object({
    kind: v.literal('pixels'),
    ask: Serial,
    /** `file` is the original where a window can show it: the shell reads it itself. Null: `bytes` came before. */
    found: v.nullable(v.object({ type: v.string(), file: v.nullable(Path) })),
    trouble: v.nullable(Trouble),
  }),
  /** The next of an item's pixels, in base64: the channel is JSON, and one message must not hold it up. */
  v.object({ kind: v.literal('bytes'), ask: Serial, bytes: v.string() }),
  /** What is open, whenever that changes. */
  v.object({ kind: v.literal('project'), dir: v.nullable(Path), name: v.string() }),
  v.object({ kind: v.literal('work'), jobs: v.array(Work) }),
]);

export type ToEngineMessage = v.InferOutput<typeof ToEngine>;
export type FromEngineMessage = v.InferOutput<typeof FromEngine>;
export type WorkData = v.InferOutput<typeof Work>;
/** What the engine answers where pixels were asked for: a file to be read, or the bytes; null where there is none. */
export interface PixelsFound {
  found: { type: string; body: string | Buffer } | null;
  trouble: ErrorShape | null;
}

/** What a window may ask of the shell itself. */
export const ShellQuestion = v.variant('kind', [
  v.object({
    kind: v.literal('choose'),
    what: v.picklist(['folder', 'files', 'save']),
    /** Where the dialog begins. */
    at: v.pipe(v.string(), v.maxLength(4096)),
  }),
  /** The window speaks this language now: so do menus and dialogs. */
  v.object({ kind: v.literal('language'), language: v.picklist(['en', 'zh-CN']) }),
]);
export type ShellQuestionData = v.InferOutput<typeof ShellQuestion>;

/** What the shell tells a window: a command of its table was chosen in a menu, a project is to be opened, the engine's process is gone. */
export const ShellEvent = v.variant('kind', [
  v.object({ kind: v.literal('command'), id: v.string() }),
  v.object({ kind: v.literal('open'), dir: Path }),
  v.object({ kind: v.literal('gone') }),
]);
export type ShellEventData = v.InferOutput<typeof ShellEvent>;

/** The message on the window with which a port to the engine arrives. */
export const PORT_MESSAGE = 'marginalia-port';

/** What the preload script puts on the window as `marginalia`, and nothing beside it. */
export interface ShellDoor {
  /** Asks for a port to the engine; it arrives with PORT_MESSAGE. */
  connect(): void;
  /** Paths for `choose`, none when the person thought better of it; none for anything else. */
  ask(question: ShellQuestionData): Promise<string[]>;
  listen(callback: (event: ShellEventData) => void): void;
}
