import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';

/**
 * Selects packages whose retention has ended. A registered device keeps its newest last-resort package in each cipher
 * suite, and its newest one-time package until the lifetime of that package ends, because group members refuse a
 * package after its lifetime (RFC 9420 section 7.3).
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

/**
 * Selects packages that a Welcome used more than `ttlHours` ago. They are kept until then because the same Welcome may
 * be sent again.
 */
export function consumedKeyPackages(ttlHours: number): ExpiringRows {
  return {
    table: 'key_packages',
    isExpired: sql<boolean>`state = 3 AND consumed_at <= now() - make_interval(hours => ${ttlHours}::integer)`,
    first: [
      { at: sql`min(consumed_at)`, among: sql`state = 3`, keptFor: sql`make_interval(hours => ${ttlHours}::integer)` },
    ],
  };
}

/**
 * Selects the available packages of the devices that `devices` selects. Both are deleted together, because nobody can
 * join with these packages once the device is gone.
 */
export function keyPackagesOf(devices: ExpiringRows): ExpiringRows {
  return {
    table: 'key_packages',
    isExpired: sql<boolean>`state = 1 AND device_tag IN (SELECT tag FROM devices WHERE ${devices.isExpired})`,
  };
}
