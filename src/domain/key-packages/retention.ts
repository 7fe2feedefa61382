import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

/**
 * Packages past their retention, except the last ones of a registered device: in each cipher suite its newest
 * last-resort package, and its newest one-time package until the end of that package's lifetime. Packages are only
 * handed out before the end of their lifetime, because members of a group refuse them afterwards (RFC 9420 section
 * 7.3).
 */
export const expiredKeyPackages: ExpiringRows = {
  table: 'key_packages',
  isExpired: sql<boolean>`coalesce(kept_until, expires_at) <= now()
    AND NOT (state = 1 AND (last_resort OR expires_at > now())
    AND EXISTS (SELECT 1 FROM devices WHERE devices.tag = key_packages.device_tag)
    AND NOT EXISTS (
      SELECT 1 FROM key_packages newer
      WHERE newer.owner = key_packages.owner AND newer.cipher_suite = key_packages.cipher_suite
        AND newer.device_tag = key_packages.device_tag AND newer.last_resort = key_packages.last_resort AND newer.state = 1
        AND (newer.expires_at > now(), newer.published_at, newer.ref)
          > (key_packages.expires_at > now(), key_packages.published_at, key_packages.ref)))`,
};

/** Packages that a Welcome used more than `ttlHours` ago; until then the same Welcome may be sent again. */
export function consumedKeyPackages(ttlHours: number): ExpiringRows {
  return {
    table: 'key_packages',
    isExpired: sql<boolean>`state = 3 AND consumed_at <= now() - make_interval(hours => ${ttlHours}::integer)`,
    first: [
      { at: sql`min(consumed_at)`, among: sql`state = 3`, keptFor: sql`make_interval(hours => ${ttlHours}::integer)` },
    ],
  };
}

/** Available packages of `devices`, which are deleted with them. */
export function keyPackagesOf(devices: ExpiringRows): ExpiringRows {
  return {
    table: 'key_packages',
    isExpired: sql<boolean>`state = 1 AND device_tag IN (SELECT tag FROM devices WHERE ${devices.isExpired})`,
  };
}
