import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = places.find((path) => existsSync(path));

/** Whether this machine has a browser for the tests of pages. */
export const hasChromium = executablePath !== undefined;

const quiet = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts a browser that connects to nothing by itself. */
export async function startChromium(): Promise<Browser> {
  if (executablePath === undefined) throw new Error(`no browser at ${places.join(', ')}`);
  // Chromium has no sandbox for root, as whom CI runs.
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath, args: [...quiet, ...sandbox] });
}
