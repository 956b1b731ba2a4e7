/**
 * The ONE table: key → command → description. It binds the keyboard, draws the help sheet,
 * fills the command palette and labels the buttons. Scopes other than `everywhere` hold
 * only while that view, or that tab of it, is open. Keys are tinykeys' words.
 */
import { matchKeybindingPress, parseKeybinding, type KeybindingPress } from 'tinykeys';
import { m } from './paraglide/messages.js';

export type Scope = 'everywhere' | 'label' | 'looks' | 'tray' | 'evidence' | 'versions' | 'data';

interface Shortcut {
  id: string;
  keys: readonly string[];
  scope: Scope | readonly Scope[];
  /** What it does, for the help sheet and the palette. */
  says: () => string;
  /** Holding the key repeats it. */
  repeats?: boolean;
}

/** Where an item stands large. */
const STAGES = ['label', 'looks', 'tray'] as const;

export const SHORTCUTS = [
  { id: 'go-label', keys: ['g l'], scope: 'everywhere', says: () => m.command_go_label() },
  { id: 'go-evidence', keys: ['g e'], scope: 'everywhere', says: () => m.command_go_evidence() },
  { id: 'go-looks', keys: ['g a'], scope: 'everywhere', says: () => m.command_go_looks() },
  { id: 'go-consistency', keys: ['g k'], scope: 'everywhere', says: () => m.command_go_consistency() },
  { id: 'go-tray', keys: ['g y'], scope: 'everywhere', says: () => m.command_go_tray() },
  { id: 'go-training', keys: ['g r'], scope: 'everywhere', says: () => m.command_go_training() },
  { id: 'go-versions', keys: ['g v'], scope: 'everywhere', says: () => m.command_go_versions() },
  { id: 'go-data', keys: ['g d'], scope: 'everywhere', says: () => m.command_go_data() },
  { id: 'palette', keys: ['$mod+k'], scope: 'everywhere', says: () => m.command_palette() },
  { id: 'help', keys: ['[Shift]+?', 'F1'], scope: 'everywhere', says: () => m.command_help() },
  { id: 'new-project', keys: ['g n'], scope: 'everywhere', says: () => m.command_new_project() },
  { id: 'open-project', keys: ['g o'], scope: 'everywhere', says: () => m.command_open_project() },
  { id: 'import', keys: ['g i'], scope: 'everywhere', says: () => m.command_import() },
  { id: 'backup', keys: ['g b'], scope: 'everywhere', says: () => m.command_backup() },
  { id: 'record', keys: ['g h'], scope: 'everywhere', says: () => m.command_record() },
  { id: 'train', keys: ['g t'], scope: 'everywhere', says: () => m.command_train() },
  { id: 'tune', keys: ['g f'], scope: 'everywhere', says: () => m.command_tune() },
  { id: 'tune-pause', keys: ['g p'], scope: 'everywhere', says: () => m.command_tune_pause() },
  { id: 'tune-cancel', keys: ['g s'], scope: 'everywhere', says: () => m.command_tune_cancel() },
  { id: 'encoder', keys: ['g m'], scope: 'everywhere', says: () => m.command_encoder() },
  { id: 'own-encoder', keys: ['g w'], scope: 'everywhere', says: () => m.command_own_encoder() },
  { id: 'theme', keys: ['Alt+Shift+T'], scope: 'everywhere', says: () => m.command_theme() },
  { id: 'language', keys: ['Alt+Shift+L'], scope: 'everywhere', says: () => m.command_language() },

  { id: 'undo', keys: ['u', '$mod+z'], scope: 'label', says: () => m.command_undo() },
  { id: 'redo', keys: ['Shift+R', '$mod+Shift+Z'], scope: 'label', says: () => m.command_redo() },
  { id: 'skip', keys: ['Space'], scope: 'label', says: () => m.command_skip() },
  { id: 'flag', keys: ['f'], scope: 'label', says: () => m.command_flag() },
  { id: 'exclude', keys: ['x'], scope: 'label', says: () => m.command_exclude() },
  { id: 'comment', keys: ['c'], scope: 'label', says: () => m.command_comment() },
  { id: 'submit', keys: ['Enter'], scope: 'label', says: () => m.command_submit() },
  { id: 'reveal', keys: ['p'], scope: 'label', says: () => m.command_reveal() },
  { id: 'similar', keys: ['s'], scope: 'label', says: () => m.command_similar() },
  { id: 'why', keys: ['w'], scope: 'label', says: () => m.command_why() },
  { id: 'why-close', keys: ['Escape'], scope: 'label', says: () => m.command_why_close() },
  { id: 'explain', keys: ['h'], scope: 'label', says: () => m.command_explain() },
  { id: 'explain-class', keys: ['Shift+H'], scope: 'label', says: () => m.command_explain_class() },
  { id: 'fainter', keys: [','], scope: 'label', says: () => m.command_fainter(), repeats: true },
  { id: 'stronger', keys: ['.'], scope: 'label', says: () => m.command_stronger(), repeats: true },
  { id: 'back', keys: ['ArrowLeft'], scope: 'label', says: () => m.command_back(), repeats: true },
  { id: 'forward', keys: ['ArrowRight'], scope: 'label', says: () => m.command_forward(), repeats: true },
  { id: 'zoom-in', keys: ['[Shift]++', '='], scope: STAGES, says: () => m.command_zoom_in(), repeats: true },
  { id: 'zoom-out', keys: ['-'], scope: STAGES, says: () => m.command_zoom_out(), repeats: true },
  { id: 'fit', keys: ['0', 'Home'], scope: STAGES, says: () => m.command_fit() },
  { id: 'darker', keys: ['['], scope: STAGES, says: () => m.command_darker(), repeats: true },
  { id: 'brighter', keys: [']'], scope: STAGES, says: () => m.command_brighter(), repeats: true },
  { id: 'softer', keys: ['[Shift]+{'], scope: STAGES, says: () => m.command_softer(), repeats: true },
  { id: 'harder', keys: ['[Shift]+}'], scope: STAGES, says: () => m.command_harder(), repeats: true },
  { id: 'invert', keys: ['i'], scope: STAGES, says: () => m.command_invert() },
  { id: 'scroll-down', keys: ['j'], scope: STAGES, says: () => m.command_scroll_down(), repeats: true },
  { id: 'scroll-up', keys: ['k'], scope: STAGES, says: () => m.command_scroll_up(), repeats: true },
  { id: 'add-class', keys: ['g c'], scope: 'label', says: () => m.command_add_class() },

  { id: 'look-confirm', keys: ['Enter'], scope: 'looks', says: () => m.command_look_confirm() },
  {
    id: 'look-down',
    keys: ['ArrowDown', 'ArrowRight'],
    scope: 'looks',
    says: () => m.command_look_down(),
    repeats: true,
  },
  { id: 'look-up', keys: ['ArrowUp', 'ArrowLeft'], scope: 'looks', says: () => m.command_look_up(), repeats: true },
  { id: 'take-back', keys: ['u', '$mod+z'], scope: ['looks', 'tray'], says: () => m.command_undo() },

  { id: 'tray-select', keys: ['Space', 'Enter'], scope: 'tray', says: () => m.command_tray_select() },
  { id: 'tray-release', keys: ['r'], scope: 'tray', says: () => m.command_tray_release() },
  { id: 'tray-exclude', keys: ['x'], scope: 'tray', says: () => m.command_exclude() },
  { id: 'tray-label', keys: ['l'], scope: 'tray', says: () => m.command_tray_label() },
  { id: 'tray-right', keys: ['ArrowRight'], scope: 'tray', says: () => m.command_tray_right(), repeats: true },
  { id: 'tray-left', keys: ['ArrowLeft'], scope: 'tray', says: () => m.command_tray_left(), repeats: true },
  { id: 'tray-down', keys: ['ArrowDown'], scope: 'tray', says: () => m.command_tray_down(), repeats: true },
  { id: 'tray-up', keys: ['ArrowUp'], scope: 'tray', says: () => m.command_tray_up(), repeats: true },

  { id: 'evidence-progress', keys: ['1'], scope: 'evidence', says: () => m.command_evidence_progress() },
  { id: 'evidence-guarantee', keys: ['2'], scope: 'evidence', says: () => m.command_evidence_guarantee() },
  { id: 'evidence-subgroups', keys: ['3'], scope: 'evidence', says: () => m.command_evidence_subgroups() },
  { id: 'evidence-drift', keys: ['4'], scope: 'evidence', says: () => m.command_evidence_drift() },
  { id: 'evidence-table', keys: ['t'], scope: 'evidence', says: () => m.command_evidence_table() },

  {
    id: 'version-down',
    keys: ['j', 'ArrowDown'],
    scope: 'versions',
    says: () => m.command_version_down(),
    repeats: true,
  },
  { id: 'version-up', keys: ['k', 'ArrowUp'], scope: 'versions', says: () => m.command_version_up(), repeats: true },
  { id: 'promote', keys: ['p'], scope: 'versions', says: () => m.command_promote() },
  { id: 'rollback', keys: ['Shift+B'], scope: 'versions', says: () => m.command_rollback() },
] as const satisfies readonly Shortcut[];

export type CommandId = (typeof SHORTCUTS)[number]['id'];

/** Whether a key of the table acts where one is. */
export function holdsIn({ scope: own }: Pick<Shortcut, 'scope'>, scope: Scope): boolean {
  return own === 'everywhere' || (typeof own === 'string' ? own === scope : own.includes(scope));
}

/** The key of the n-th class: the number row, then letters that no command uses. */
export const CLASS_KEYS = [...'1234567890', ...'qertyoalzvbndm'];

/** Where they answer, and how many of them do: in the tray letters have other meanings. */
export const CLASS_KEYS_IN: Partial<Record<Scope, number>> = {
  label: CLASS_KEYS.length,
  looks: CLASS_KEYS.length,
  tray: 10,
};

const MAC = typeof navigator === 'object' && /Mac|iP(hone|ad)/.test(navigator.platform);
const CAPS: Record<string, () => string> = {
  $mod: () => (MAC ? '⌘' : 'Ctrl'),
  Shift: () => '⇧',
  Alt: () => (MAC ? '⌥' : 'Alt'),
  Space: () => m.key_space(),
  Enter: () => '↵',
  Escape: () => 'Esc',
  ArrowLeft: () => '←',
  ArrowRight: () => '→',
  ArrowUp: () => '↑',
  ArrowDown: () => '↓',
};

/** What is printed on the keys of one binding: "Shift+R" → ["⇧", "R"]; an optional modifier is not shown. */
export function caps(binding: string): string[] {
  return binding.split(' ').flatMap((press) =>
    press
      .split(/(?<=\w|\])\+/)
      .filter((part) => !/^\[\w+\]$/.test(part))
      .map((part) => CAPS[part]?.() ?? part.toUpperCase()),
  );
}

export function shortcut(id: CommandId): Shortcut {
  return SHORTCUTS.find((s) => s.id === id)!;
}

interface Hands {
  scope(): Scope;
  /** No shortcut may act: a dialog is open, or there is nothing to act on. */
  busy(): boolean;
  run(id: CommandId): void;
  chooseClass(index: number): void;
}

const WRITES = 'input:not([type=checkbox],[type=radio],[type=range]),textarea,select,[contenteditable]';
const PRESSES = 'button,a[href],summary,input,[role=option],[role=tab],[role=menuitem],[role=button]';

const SEQUENCE_MS = 1000;

interface Binding {
  presses: KeybindingPress[];
  act(event: KeyboardEvent): boolean;
}

/**
 * The window's keydown listener. Space, Enter and arrows stay with a focused control;
 * Escape leaves a field, so that the keys work again. A sequence is two presses within a
 * second; after it, and after any other key, nothing of it is left waiting (tinykeys' own
 * handler keeps the other sequences waiting, which made "g e" then "g v" go nowhere).
 */
export function keyboard(hands: Hands): (event: KeyboardEvent) => void {
  const bindings: Binding[] = [];
  const bind = (keys: string, act: Binding['act']) => bindings.push({ presses: parseKeybinding(keys), act });
  // First the classes: with ten of them, 0 is the tenth; with fewer it fits the image (`chooseClass` decides).
  CLASS_KEYS.forEach((key, index) => {
    const act = (event: KeyboardEvent) => {
      if (index >= (CLASS_KEYS_IN[hands.scope()] ?? 0)) return false;
      if (!event.repeat) hands.chooseClass(index);
      return true;
    };
    for (const name of /\d/.test(key) ? [`Digit${key}`, `Numpad${key}`] : [key]) bind(name, act);
  });
  for (const entry of SHORTCUTS as readonly Shortcut[]) {
    const act = (event: KeyboardEvent) => {
      if (!holdsIn(entry, hands.scope())) return false;
      if (!event.repeat || entry.repeats) hands.run(entry.id as CommandId);
      return true;
    };
    for (const key of entry.keys) bind(key, act);
  }
  const sequences = bindings.filter(({ presses }) => presses.length > 1);
  const single = bindings.filter(({ presses }) => presses.length === 1);
  let begun: { at: number; rest: Binding[] } | null = null;

  return (event) => {
    const target = event.target !== null && 'matches' in event.target ? (event.target as HTMLElement) : null;
    const chord = event.ctrlKey || event.metaKey;
    if (event.isComposing || hands.busy()) return;
    if (target?.matches(WRITES)) {
      if (event.key === 'Escape') target.blur();
      if (!(chord && event.key.toLowerCase() === 'k')) return;
    }
    const presses = event.key === ' ' || event.key === 'Enter' || event.key.startsWith('Arrow');
    if (presses && target?.matches(PRESSES)) return;
    if (['Shift', 'Control', 'Alt', 'Meta'].includes(event.key)) return;
    const waiting = begun !== null && event.timeStamp - begun.at < SEQUENCE_MS ? begun.rest : [];
    begun = null;
    const isPress = (n: number) => (binding: Binding) => matchKeybindingPress(event, binding.presses[n]);
    const acted = [...waiting.filter(isPress(1)), ...single.filter(isPress(0))].some((binding) => binding.act(event));
    if (acted) return event.preventDefault();
    const rest = sequences.filter(isPress(0));
    if (rest.length > 0) begun = { at: event.timeStamp, rest };
  };
}
