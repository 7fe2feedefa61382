import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

/**
 * Packages past the time that they are kept, but for what may be all that is left of a living device: in each suite its newest
 * last-resort package, and its newest one-time package as long as that can be used. Whether a package is handed out is another
 * question: only before the end of its own lifetime, since the others in a group refuse it afterwards (RFC 9420 section 7.3).
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

/** Packages whose Welcome arrived `ttlHours` ago; until then the same Welcome may be sent again. */
export function consumedKeyPackages(ttlHours: number): ExpiringRows {
  return {
    table: 'key_packages',
    isExpired: sql<boolean>`state = 3 AND consumed_at <= now() - make_interval(hours => ${ttlHours}::integer)`,
    first: [
      { at: sql`min(consumed_at)`, among: sql`state = 3`, keptFor: sql`make_interval(hours => ${ttlHours}::integer)` },
    ],
  };
}

/** Packages that go with their devices: those that were not handed out. */
export function keyPackagesOf(devices: ExpiringRows): ExpiringRows {
  return {
    table: 'key_packages',
    isExpired: sql<boolean>`state = 1 AND device_tag IN (SELECT tag FROM devices WHERE ${devices.isExpired})`,
  };
}
