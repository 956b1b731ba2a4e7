/**
 * What one person chose on this machine: language, light or dark, and their name as
 * annotator. Kept in localStorage; nothing of it belongs to a project.
 */
import { getLocale, isLocale, locales, setLocale } from '../paraglide/runtime.js';

/** In the order in which one key walks them. Reading rooms are dark: so is the desk until somebody chooses. */
export const THEMES = ['dark', 'light', 'system'] as const;
export type Theme = (typeof THEMES)[number];
export type Locale = (typeof locales)[number];

const THEME_KEY = 'marginalia-theme';
const ANNOTATOR_KEY = 'marginalia-annotator';

/** A browser that says only "zh" or "zh-Hans-CN" means Simplified Chinese. */
function startLocale(): Locale {
  const chosen = localStorage.getItem('marginalia-locale');
  if (chosen !== null && isLocale(chosen)) return chosen;
  const first = navigator.languages.find((tag) => /^(en|zh)\b/i.test(tag));
  return first?.toLowerCase().startsWith('zh') ? 'zh-CN' : getLocale();
}

export class Preferences {
  theme = $state<Theme>('dark');
  locale = $state<Locale>('en');
  annotator = $state('');
  #systemLight = $state(false);
  /** What is shown: `system` resolved. */
  dark = $derived(this.theme === 'system' ? !this.#systemLight : this.theme === 'dark');

  constructor() {
    this.theme = THEMES.find((theme) => theme === localStorage.getItem(THEME_KEY)) ?? 'dark';
    const light = matchMedia('(prefers-color-scheme: light)');
    this.#systemLight = light.matches;
    light.addEventListener('change', () => {
      this.#systemLight = light.matches;
      this.#show();
    });
    this.annotator = localStorage.getItem(ANNOTATOR_KEY) ?? '';
    this.speak(startLocale(), false);
    this.#show();
  }

  /** Switches the language; the page is drawn again, its state stays. */
  speak(locale: Locale, keep = true): void {
    if (keep || locale !== getLocale()) void setLocale(locale, { reload: false });
    this.locale = locale;
    document.documentElement.lang = locale;
  }

  nextLocale(): void {
    this.speak(locales[(locales.indexOf(this.locale) + 1) % locales.length]);
  }

  nextTheme(): void {
    this.theme = THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length];
    localStorage.setItem(THEME_KEY, this.theme);
    this.#show();
  }

  call(annotator: string): void {
    this.annotator = annotator.trim();
    localStorage.setItem(ANNOTATOR_KEY, this.annotator);
  }

  #show(): void {
    document.documentElement.dataset.theme = this.dark ? 'dark' : 'light';
  }
}
