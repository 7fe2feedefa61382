import { sql } from 'kysely';
import type { ExpiringRows } from '#storage/expiring-rows.ts';

/** Expired packages, but for the newest last-resort one of a living device: it may be all that is left of that device. */
export const expiredKeyPackages: ExpiringRows = {
  table: 'key_packages',
  isExpired: sql<boolean>`expires_at <= now() AND NOT (last_resort AND state = 1
    AND EXISTS (SELECT 1 FROM devices WHERE devices.tag = key_packages.device_tag)
    AND NOT EXISTS (
      SELECT 1 FROM key_packages newer
      WHERE newer.owner = key_packages.owner AND newer.cipher_suite = key_packages.cipher_suite
        AND newer.device_tag = key_packages.device_tag AND newer.last_resort AND newer.state = 1
        AND (newer.published_at, newer.ref) > (key_packages.published_at, key_packages.ref)))`,
};

/** Packages whose Welcome arrived `ttlHours` ago; until then the same Welcome may be sent again. */
export function consumedKeyPackages(ttlHours: number): ExpiringRows {
  return {
    table: 'key_packages',
    isExpired: sql<boolean>`state = 3 AND consumed_at <= now() - make_interval(hours => ${ttlHours}::integer)`,
  };
}
