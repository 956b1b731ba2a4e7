/** The desk's parts, put together once. Views import `app`; nothing here is created twice. */
import type { Scope } from '../shortcuts.ts';
import { Choosing } from './choosing.svelte.ts';
import { createCommands } from './commands.ts';
import { Consistency } from './consistency.svelte.ts';
import { Desk } from './desk.svelte.ts';
import { DeviceChoice } from './devices.svelte.ts';
import { Encoders } from './encoders.svelte.ts';
import { Evidence } from './evidence.svelte.ts';
import { Explaining } from './explaining.svelte.ts';
import { Items } from './items.svelte.ts';
import { Labelling } from './labelling.svelte.ts';
import { Looks } from './looks.svelte.ts';
import { Preferences } from './preferences.svelte.ts';
import { Safekeeping } from './safekeeping.svelte.ts';
import { Trail } from './trail.svelte.ts';
import { Tray } from './tray.svelte.ts';
import { Tuning } from './tuning.svelte.ts';
import { VersionExport } from './version-export.svelte.ts';
import { Versions } from './versions.svelte.ts';
import { Viewing } from './viewing.svelte.ts';
import { Why } from './why.svelte.ts';
import { Wizard } from './wizard.svelte.ts';

const preferences = new Preferences();
const desk = new Desk(() => preferences.annotator);
const labelling = new Labelling(desk, preferences);
const explaining = new Explaining(desk, labelling);
const looks = new Looks(desk, labelling);
const parts = {
  desk,
  preferences,
  labelling,
  explaining,
  why: new Why(desk, labelling, explaining),
  choosing: new Choosing(desk),
  looks,
  consistency: new Consistency(desk, preferences),
  trail: new Trail(desk),
  safekeeping: new Safekeeping(desk),
  tray: new Tray(desk, labelling, preferences),
  viewing: new Viewing(),
  evidence: new Evidence(desk),
  versions: new Versions(desk),
  versionExport: new VersionExport(desk),
  items: new Items(desk),
  encoders: new Encoders(desk),
  devices: new DeviceChoice(desk),
  tuning: new Tuning(desk),
  wizard: new Wizard(desk),
};

/** Which keys hold: those of the open view, or of its open tab. */
function scope(): Scope {
  switch (desk.view) {
    case 'label':
    case 'evidence':
    case 'versions':
    case 'data':
      return desk.view;
    case 'looks':
      return looks.tab === 'consistency' ? 'everywhere' : looks.tab;
    default:
      return 'everywhere';
  }
}

export const app = {
  ...parts,
  commands: createCommands(parts),
  get scope() {
    return scope();
  },
};
