import { isIP } from 'node:net';
import { ConfigError } from '#platform/config/config.ts';
import type { Config } from '#platform/config/config.ts';
import { settings } from '#platform/config/settings.ts';

type UsedSettings = Pick<
  Config,
  'NODE_ENV' | 'DEVELOPMENT_IDENTITIES' | 'DATABASE_URL' | 'DATABASE_DIRECT_URL' | 'PLC_URL' | 'SERVER_HOST'
>;

/**
 * Returns whether a server has development identities. By default only `npm start` (role `all`) has them: in
 * development, on the embedded Postgres, on a loopback address and with the public did:plc directory.
 * @throws ConfigError when the setting requires them in production or on an address that other machines reach.
 */
export function usesDevelopmentIdentities(config: UsedSettings, role: 'all' | 'server'): boolean {
  const isLocal = config.SERVER_HOST === undefined || isLoopbackHost(config.SERVER_HOST);
  const { DEVELOPMENT_IDENTITIES: given } = config;
  if (given === true && (config.NODE_ENV === 'production' || !isLocal)) throw new ConfigError([refusalOf(config)]);
  if (given !== undefined) return given;
  const isEmbedded = (config.DATABASE_DIRECT_URL ?? config.DATABASE_URL) === undefined;
  const isPublicDirectory = config.PLC_URL === settings.PLC_URL.fallback;
  return role === 'all' && config.NODE_ENV === 'development' && isEmbedded && isLocal && isPublicDirectory;
}

function refusalOf({ NODE_ENV }: UsedSettings): string {
  return NODE_ENV === 'production'
    ? 'DEVELOPMENT_IDENTITIES: may not be true in production. Remove it.'
    : 'DEVELOPMENT_IDENTITIES: may be true only on a loopback address. Remove it, or set SERVER_HOST=127.0.0.1.';
}

/** Returns whether only this machine reaches a host name or an IP address without a port. */
export function isLoopbackHost(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}
