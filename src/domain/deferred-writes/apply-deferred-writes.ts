import { applyListChanges } from '#domain/accounts/apply-list-changes.ts';
import {
  coarsenClaimTimes,
  hasExactClaimTimes,
  applyKeyPackageUses,
} from '#domain/key-packages/single-use/apply-key-package-uses.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { hasUnshuffledRows, shuffledTables, shuffleRows, vacuumShuffledTables } from '#storage/rows/shuffled-rows.ts';
import { beginInterval, countDeferredWrites, isIntervalOver } from './store.ts';

/**
 * This many list changes are applied before the end of the interval, because every reader of a list decodes all of them
 * (9 µs each).
 */
const changesWaitingMax = 64;
const usesWaitingMax = 256;
const claimsPerBatchMax = 1_000;

interface DeferredWritesDeps {
  readonly db: Db;
  readonly privacy: Privacy;
}

/**
 * Applies deferred writes: changes to people's conversation lists, and uses of key packages. Transactions of a
 * conversation do not write these rows themselves, because a shared transaction id would link a person to the
 * conversation. Writes are applied when enough of them wait, or when any wait and the last interval of
 * `intervalSeconds` is over. Every server calls this every few seconds; the writes that wait are stored in tables, so
 * the next call of any server also applies those of a crashed server.
 * @returns whether this call ended an interval and applied all deferred writes.
 */
export async function applyDeferredWritesWhenDue(deps: DeferredWritesDeps, intervalSeconds: number): Promise<boolean> {
  const { changes, uses } = await countDeferredWrites(deps.db, usesWaitingMax);
  if (changes >= changesWaitingMax || uses >= usesWaitingMax) await applyListChangesAndUses(deps);
  if (!(await isIntervalOver(deps.db, intervalSeconds))) return false;
  if (changes + uses === 0 && !(await hasExactClaimTimes(deps.db)) && !(await hasUnshuffledRows(deps.db))) return false;
  if (!(await beginInterval(deps.db, intervalSeconds))) return false;
  await applyDeferredWrites(deps);
  return true;
}

/**
 * Applies all deferred writes, makes claim times coarse, shuffles recently written rows, and vacuums their tables to
 * clear old row versions.
 */
export async function applyDeferredWrites(deps: DeferredWritesDeps): Promise<void> {
  await applyListChangesAndUses(deps);
  while ((await coarsenClaimTimes(deps.db, claimsPerBatchMax)) === claimsPerBatchMax);
  for (const table of shuffledTables) while (!(await shuffleRows(deps.db, table)).isLast);
  await vacuumShuffledTables(deps.db);
}

async function applyListChangesAndUses(deps: DeferredWritesDeps): Promise<void> {
  while ((await applyListChanges(deps)) > 0);
  while ((await applyKeyPackageUses(deps)) > 0);
}
