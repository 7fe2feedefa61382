import type { Caller } from '#domain/caller.ts';
import { cipherSuiteName } from '#mls/cipher-suites.ts';
import type { Clock } from '#platform/clock.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { keyPackageOwner } from './key-package.ts';
import { selectAvailableCounts } from './store.ts';
import type { AvailableCountRow } from './store.ts';

/** A client with fewer available packages than this should publish more. */
export const replenishThreshold = 5;
const hourMs = 3_600_000;

/**
 * Statistics of the caller's key packages (lexicon `getKeyPackageStats`). Consumed packages are those that were handed
 * out or used.
 */
export interface AvailableKeyPackages {
  readonly available: number;
  readonly threshold: number;
  readonly needsReplenish: boolean;
  readonly total: number;
  readonly consumed: number;
  readonly consumedLast24h: number;
  readonly consumedLast7d: number;
  readonly averageDailyConsumption: number;
  readonly predictedDepletionDays?: number;
  readonly oldestExpiresIn?: string;
  readonly byCipherSuite?: readonly { cipherSuite: string; available: number; consumed: number }[];
}

/** Counts the caller's packages, optionally only those of one cipher suite (lexicon name) or of one device (tag). */
export async function reportAvailableKeyPackages(
  deps: { db: Db; privacy: Privacy; clock: Clock },
  caller: Caller,
  filter: { cipherSuite: string | undefined; deviceTag: Buffer | undefined },
): Promise<AvailableKeyPackages> {
  const { cipherSuite } = filter;
  const counts = await selectAvailableCounts(deps.db, keyPackageOwner(deps.privacy, caller.did), filter.deviceTag);
  const rows = counts.filter((row) => cipherSuite === undefined || cipherSuiteName(row.cipherSuite) === cipherSuite);
  const sum = (field: 'available' | 'used' | 'usedLastDay' | 'usedLastWeek'): number =>
    rows.reduce((total, row) => total + row[field], 0);
  const available = sum('available');
  const daily = Math.ceil(sum('usedLastWeek') / 7);
  const oldest = oldestExpiry(rows);
  return {
    available,
    threshold: replenishThreshold,
    needsReplenish: available < replenishThreshold,
    total: available + sum('used'),
    consumed: sum('used'),
    consumedLast24h: sum('usedLastDay'),
    consumedLast7d: sum('usedLastWeek'),
    averageDailyConsumption: daily,
    ...(daily === 0 ? {} : { predictedDepletionDays: Math.floor(available / daily) }),
    ...(oldest === undefined ? {} : { oldestExpiresIn: formatDuration(oldest.getTime() - deps.clock.nowMs()) }),
    ...(cipherSuite === undefined ? { byCipherSuite: rows.flatMap(countsOfSuite) } : {}),
  };
}

function oldestExpiry(rows: readonly AvailableCountRow[]): Date | undefined {
  return rows
    .map((row) => row.oldestExpiresAt)
    .filter((expiresAt) => expiresAt !== null)
    .sort((a, b) => a.getTime() - b.getTime())[0];
}

function countsOfSuite(row: AvailableCountRow): { cipherSuite: string; available: number; consumed: number }[] {
  const cipherSuite = cipherSuiteName(row.cipherSuite);
  return cipherSuite === undefined ? [] : [{ cipherSuite, available: row.available, consumed: row.used }];
}

/** Formats a duration in whole days and hours, as public clients show it, for example "3d 4h". */
function formatDuration(durationMs: number): string {
  const hours = Math.max(0, Math.floor(durationMs / hourMs));
  return `${Math.floor(hours / 24)}d ${hours % 24}h`;
}
