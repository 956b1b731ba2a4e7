/**
 * The menu bar, per platform, as a value: a Mac has its application menu, everything else
 * has Quit under File. What the desk can do, the desk does: its items send it a command of
 * its own table, and carry no keys, because the desk binds them.
 */
import type { MenuItemConstructorOptions } from 'electron';
import type { Words } from './words.ts';

export interface MenuParts {
  platform: NodeJS.Platform;
  words: Words;
  recent: readonly { dir: string; name: string }[];
  devTools: boolean;
  /** A command of the desk's table. */
  command(id: string): void;
  chooseProject(): void;
  open(dir: string): void;
  crashes(): void;
  safeMode(): void;
}

export function menuTemplate(parts: MenuParts): MenuItemConstructorOptions[] {
  const { platform, words, recent, command } = parts;
  const isMac = platform === 'darwin';
  const to = (label: string, id: string): MenuItemConstructorOptions => ({ label, click: () => command(id) });
  const separator: MenuItemConstructorOptions = { type: 'separator' };
  const app: MenuItemConstructorOptions[] = [
    { role: 'about' },
    separator,
    { role: 'services' },
    separator,
    { role: 'hide' },
    { role: 'hideOthers' },
    { role: 'unhide' },
    separator,
    { role: 'quit' },
  ];
  const recentItems: MenuItemConstructorOptions[] =
    recent.length === 0
      ? [{ label: words.noRecent, enabled: false }]
      : recent.map(({ dir, name }) => ({ label: `${name} — ${dir}`, click: () => parts.open(dir) }));
  return [
    ...(isMac ? [{ role: 'appMenu' as const, submenu: app }] : []),
    {
      label: words.file,
      submenu: [
        to(words.newProject, 'new-project'),
        { label: words.openProject, accelerator: 'CmdOrCtrl+O', click: () => parts.chooseProject() },
        { label: words.openRecent, submenu: recentItems },
        separator,
        to(words.import, 'import'),
        to(words.backup, 'backup'),
        separator,
        { role: 'close', label: words.close },
        ...(isMac ? [] : [{ role: 'quit' as const, label: words.quit }]),
      ],
    },
    {
      label: words.edit,
      // Elsewhere than on a Mac text fields undo by themselves, and labels are taken back by the desk's keys.
      submenu: [
        ...(isMac ? [{ role: 'undo' as const }, { role: 'redo' as const }, separator] : []),
        { role: 'cut' },
        { role: 'copy' },
        { role: 'paste' },
        { role: 'selectAll' },
      ],
    },
    {
      label: words.view,
      submenu: [
        to(words.theme, 'theme'),
        to(words.language, 'language'),
        separator,
        { role: 'resetZoom' },
        { role: 'zoomIn' },
        { role: 'zoomOut' },
        separator,
        { role: 'togglefullscreen' },
        ...(parts.devTools ? [{ role: 'toggleDevTools' as const }] : []),
      ],
    },
    ...(isMac ? [{ role: 'windowMenu' as const }] : []),
    {
      role: 'help',
      label: words.help,
      submenu: [
        to(words.shortcuts, 'help'),
        to(words.commands, 'palette'),
        separator,
        { label: words.crashes, click: () => parts.crashes() },
        { label: words.safeMode, click: () => parts.safeMode() },
        ...(isMac ? [] : [separator, { role: 'about' as const, label: words.about }]),
      ],
    },
  ];
}
