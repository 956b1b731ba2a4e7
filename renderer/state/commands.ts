/**
 * What each command of the table does. A command without an entry does not compile; the
 * keyboard, the palette and the buttons all come here.
 */
import type { CommandId } from '../shortcuts.ts';
import type { Desk } from './desk.svelte.ts';
import type { Encoders } from './encoders.svelte.ts';
import type { Evidence } from './evidence.svelte.ts';
import type { Explaining } from './explaining.svelte.ts';
import type { Items, Tab as DataTab } from './items.svelte.ts';
import type { Labelling } from './labelling.svelte.ts';
import type { Looks, LookTab } from './looks.svelte.ts';
import type { Preferences } from './preferences.svelte.ts';
import type { Tray } from './tray.svelte.ts';
import type { Tuning } from './tuning.svelte.ts';
import type { Versions } from './versions.svelte.ts';
import type { Viewing } from './viewing.svelte.ts';
import type { Why } from './why.svelte.ts';
import type { Wizard } from './wizard.svelte.ts';

export interface Parts {
  desk: Desk;
  preferences: Preferences;
  labelling: Labelling;
  viewing: Viewing;
  evidence: Evidence;
  explaining: Explaining;
  why: Why;
  looks: Looks;
  tray: Tray;
  versions: Versions;
  items: Items;
  encoders: Encoders;
  tuning: Tuning;
  wizard: Wizard;
}

const ZOOM_STEP = 1.25;
const GREY_STEP = 0.05;

export function createCommands(parts: Parts): Record<CommandId, () => void> {
  const { desk, preferences, labelling, viewing, evidence, explaining, versions, items, encoders, tuning, wizard } =
    parts;
  const { why, looks, tray } = parts;
  const many = () => desk.status?.task === 'classify-many';
  const goLook = (tab: LookTab) => {
    looks.tab = tab;
    desk.go('looks');
  };
  const goData = (tab: DataTab) => {
    if (desk.status === null) return;
    items.tab = tab;
    desk.go('data');
  };
  return {
    'go-label': () => desk.go('label'),
    'go-evidence': () => desk.go('evidence'),
    'go-looks': () => goLook('looks'),
    'go-consistency': () => goLook('consistency'),
    'go-tray': () => goLook('tray'),
    'go-training': () => desk.go('training'),
    'go-versions': () => desk.go('versions'),
    'go-data': () => desk.go('data'),
    palette: () => (desk.dialog = 'palette'),
    help: () => (desk.dialog = 'help'),
    'new-project': () => {
      desk.go('start');
      wizard.begin(false);
    },
    'open-project': () => {
      wizard.step = 'home';
      desk.go('start');
    },
    import: () => goData('import'),
    backup: () => goData('safekeeping'),
    record: () => goData('record'),
    encoder: () => encoders.begin(),
    'own-encoder': () => void encoders.useOwn(),
    train: () => void evidence.train(),
    tune: () => void tuning.start(),
    'tune-pause': () => void tuning.togglePause(),
    'tune-cancel': () => tuning.askToCancel(),
    theme: () => preferences.nextTheme(),
    language: () => preferences.nextLocale(),

    undo: () => labelling.undo(),
    redo: () => labelling.redo(),
    skip: () => labelling.decide('skip'),
    flag: () => labelling.decide('flag'),
    exclude: () => labelling.decide('exclude'),
    comment: () => {
      if (labelling.current) desk.dialog = 'comment';
    },
    submit: () => {
      if (many()) labelling.submit();
    },
    reveal: () => labelling.reveal(),
    similar: () => {
      if (labelling.similar?.length) desk.dialog = 'similar';
    },
    why: () => why.toggle(),
    'why-close': () => why.close(),
    explain: () => explaining.toggle(),
    'explain-class': () => explaining.nextClass(),
    fainter: () => explaining.stronger(-1),
    stronger: () => explaining.stronger(1),
    back: () => labelling.step(-1),
    forward: () => labelling.step(1),
    'zoom-in': () => viewing.zoom(ZOOM_STEP),
    'zoom-out': () => viewing.zoom(1 / ZOOM_STEP),
    fit: () => viewing.fit(),
    darker: () => viewing.adjust(-GREY_STEP, 0),
    brighter: () => viewing.adjust(GREY_STEP, 0),
    softer: () => viewing.adjust(0, -GREY_STEP),
    harder: () => viewing.adjust(0, GREY_STEP),
    invert: () => viewing.invert(),
    'scroll-down': () => viewing.scroll(1),
    'scroll-up': () => viewing.scroll(-1),
    'add-class': () => (desk.dialog = 'add-class'),

    'look-confirm': () => looks.confirm(),
    'look-down': () => looks.work.step(1),
    'look-up': () => looks.work.step(-1),
    'take-back': () => (looks.tab === 'tray' ? tray : looks).work.takeBack(),
    'tray-select': () => tray.select(),
    'tray-release': () => tray.release(),
    'tray-exclude': () => tray.exclude(),
    'tray-label': () => tray.label(),
    'tray-right': () => tray.work.step(1),
    'tray-left': () => tray.work.step(-1),
    'tray-down': () => tray.work.step(tray.columns),
    'tray-up': () => tray.work.step(-tray.columns),

    'evidence-progress': () => evidence.show('progress'),
    'evidence-guarantee': () => evidence.show('guarantee'),
    'evidence-subgroups': () => evidence.show('subgroups'),
    'evidence-drift': () => evidence.show('drift'),
    'evidence-table': () => (evidence.tabular = !evidence.tabular),

    'version-down': () => versions.step(1),
    'version-up': () => versions.step(-1),
    promote: () => void versions.promote(),
    rollback: () => {
      if (versions.list && versions.list.length > 1) desk.dialog = 'rollback';
    },
  };
}
