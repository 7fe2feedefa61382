import { isLoopbackHost } from './development-setting.ts';

/** Returns the value of a header by its lower-case name, or undefined. */
export type ReadHeader = (name: string) => string | undefined;

/** Headers by which a proxy says that a request came from elsewhere. */
const proxyHeaders = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'];
const allowedSites: ReadonlySet<string | undefined> = new Set([undefined, 'none', 'same-origin']);

/**
 * Returns whether a request comes from a program or from an own page on this machine. A page of another site is refused
 * by Sec-Fetch-Site and Origin, and a foreign name that resolves to a loopback address (DNS rebinding) by its Host.
 */
export function isLocalRequest(header: ReadHeader): boolean {
  const host = header('host') ?? '';
  if (!URL.canParse(`http://${host}`) || !isLoopbackHost(new URL(`http://${host}`).hostname)) return false;
  if (!allowedSites.has(header('sec-fetch-site'))) return false;
  const origin = header('origin');
  if (origin !== undefined && origin !== `http://${host}`) return false;
  return proxyHeaders.every((name) => header(name) === undefined);
}
