/** The shell's own words: menus, dialogs, the tray. The desk says which language; before that the system does. */
export const LANGUAGES = ['en', 'zh-CN'] as const;
export type Language = (typeof LANGUAGES)[number];

const en = {
  file: 'File',
  newProject: 'New project…',
  openProject: 'Open project…',
  openRecent: 'Open recent',
  noRecent: 'None yet',
  import: 'Import…',
  backup: 'Back up…',
  close: 'Close window',
  quit: 'Quit',
  edit: 'Edit',
  view: 'View',
  theme: 'Light or dark',
  language: 'Language',
  help: 'Help',
  shortcuts: 'Keyboard shortcuts',
  commands: 'All commands…',
  crashes: 'Crash reports…',
  safeMode: 'Restart in safe mode',
  about: 'About Marginalia',
  show: 'Show Marginalia',
  working: 'Marginalia is at work',
  paused: 'Marginalia: paused',
  choosePlace: 'Choose where',
  gaveUp: 'The engine stopped several times in a row.',
  gaveUpDetail:
    'Everything that was shown as saved is on disk. In safe mode nothing starts by itself and models run on the processor alone; the project can be opened by hand.',
  startAgain: 'Start again',
  startSafe: 'Start in safe mode',
  showReport: 'Show the report',
  twice: 'Marginalia did not end as it should twice in a row.',
  startAsUsual: 'Start as usual',
  noCrashes: 'There are no crash reports.',
  crashesDetail: 'Reports stay on this computer. They hold no paths, names or texts of a project.',
  changedFiles: 'Files of the program were changed',
  changedDetail: 'Marginalia does not start with an engine that is not its own. Install it again.',
  copy: 'Copy',
  ok: 'Close',
};
export type Words = typeof en;

const zh: Words = {
  file: '文件',
  newProject: '新建项目…',
  openProject: '打开项目…',
  openRecent: '最近打开',
  noRecent: '暂无',
  import: '导入…',
  backup: '备份…',
  close: '关闭窗口',
  quit: '退出',
  edit: '编辑',
  view: '视图',
  theme: '浅色或深色',
  language: '语言',
  help: '帮助',
  shortcuts: '键盘快捷键',
  commands: '所有命令…',
  crashes: '崩溃报告…',
  safeMode: '以安全模式重新启动',
  about: '关于 Marginalia',
  show: '显示 Marginalia',
  working: 'Marginalia 正在工作',
  paused: 'Marginalia：已暂停',
  choosePlace: '选择位置',
  gaveUp: '引擎连续多次停止。',
  gaveUpDetail:
    '所有显示为已保存的内容都已写入磁盘。在安全模式下，不会自动开始任何工作，模型只在处理器上运行；项目可以手动打开。',
  startAgain: '重新启动',
  startSafe: '以安全模式启动',
  showReport: '查看报告',
  twice: 'Marginalia 连续两次未能正常结束。',
  startAsUsual: '正常启动',
  noCrashes: '没有崩溃报告。',
  crashesDetail: '报告只保存在这台电脑上，不含项目的路径、名称或文本。',
  changedFiles: '程序文件已被更改',
  changedDetail: '引擎文件与安装包不一致，Marginalia 不会启动。请重新安装。',
  copy: '复制',
  ok: '关闭',
};

/** Every word in one language. */
export function wordsOf(language: Language): Words {
  return language === 'zh-CN' ? zh : en;
}

/** The first of a system's languages that there are words in. */
export function languageOf(preferred: readonly string[]): Language {
  const first = preferred.find((tag) => /^(en|zh)\b/i.test(tag));
  return first?.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en';
}
