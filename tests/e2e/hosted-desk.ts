/**
 * One desk for the end-to-end tests, by whichever host: the loopback web host (as a rule), the
 * desktop's window in Chromium (MARGINALIA_E2E=port), or Electron (MARGINALIA_E2E=electron,
 * where its binary is). A test enters it and gets the page, and a second connection beside the
 * page's, without knowing which it is.
 */
import { homedir } from 'node:os';
import { test, type BrowserContext, type Page } from '@playwright/test';
import { connectWithCookie, serveDesk, type DeskClient } from '../served-desk.ts';
import { clientOver, openDeskWindow, unavailable } from './desk-window.ts';

export interface Entered {
  /** To be used from here on: Electron has its own. */
  page: Page;
  /** Where the page and all that it may ask for come from. */
  origin: string;
  client: DeskClient;
  close(): void;
}

export interface HostedDesk {
  /** Shows the desk; `watch` sees the page before anything is loaded, in Electron as soon as there is one. */
  enter(page: Page, context: BrowserContext, watch?: (page: Page) => void | Promise<void>): Promise<Entered>;
  stop(): Promise<void>;
}

/** Hosts a desk on a project, or on none; of the environment the desktop takes the home. */
export async function hostDesk(
  dir: string | null,
  env: { HOME?: string; USERPROFILE?: string } = {},
): Promise<HostedDesk> {
  return process.env.MARGINALIA_E2E === undefined ? onTheWeb(dir, env) : inAWindow(dir, env.HOME ?? homedir());
}

async function onTheWeb(dir: string | null, env: NodeJS.ProcessEnv): Promise<HostedDesk> {
  const desk = await serveDesk(dir, env);
  return {
    async enter(page, context, watch) {
      await watch?.(page);
      await page.goto(desk.address);
      await page.waitForFunction(() => !location.hash.includes('token'));
      const [cookie] = await waitForCookie(context);
      const { client, close } = await connectWithCookie(desk.origin, `${cookie.name}=${cookie.value}`);
      return { page, origin: desk.origin, client, close };
    },
    stop: () => desk.stop(),
  };
}

/** The session's cookie comes a moment after the page. */
async function waitForCookie(context: BrowserContext): ReturnType<BrowserContext['cookies']> {
  for (;;) {
    const cookies = await context.cookies();
    if (cookies.length > 0) return cookies;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function inAWindow(dir: string | null, home: string): HostedDesk {
  let stop: (() => Promise<void>) | null = null;
  return {
    async enter(blank, _context, watch) {
      test.skip(unavailable !== null, unavailable ?? '');
      await watch?.(blank);
      const window = await openDeskWindow(blank, dir, home);
      stop = () => window.close();
      if (window.page !== blank) await watch?.(window.page);
      return {
        page: window.page,
        origin: window.origin,
        client: await clientOver(window.page),
        close: () => undefined,
      };
    },
    stop: async () => stop?.(),
  };
}
