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
 * The number of waiting list changes at which they are applied before the interval ends, because every reader of a list
 * decodes all waiting changes (9 µs each).
 */
const changesWaitingMax = 64;
const usesWaitingMax = 256;
const claimsPerBatchMax = 1_000;

interface DeferredWritesDeps {
  readonly db: Db;
  readonly privacy: Privacy;
}

/**
 * Applies the deferred writes, which are changes of conversation lists and uses of key packages, when many of them wait
 * or the interval of `intervalSeconds` has ended. Writing these rows in the transaction of a conversation would link a
 * person to the conversation by a shared transaction id.
 * @returns whether this call ended an interval and applied all deferred writes.
 */
export async function applyDeferredWritesWhenDue(deps: DeferredWritesDeps, intervalSeconds: number): Promise<boolean> {
  // Every server calls this every few seconds. Waiting writes are stored in tables, so any server can apply the writes
  // of a server that has crashed.
  const { changes, uses } = await countDeferredWrites(deps.db, usesWaitingMax);
  if (changes >= changesWaitingMax || uses >= usesWaitingMax) await applyListChangesAndUses(deps);
  if (!(await isIntervalOver(deps.db, intervalSeconds))) return false;
  if (changes + uses === 0 && !(await hasExactClaimTimes(deps.db)) && !(await hasUnshuffledRows(deps.db))) return false;
  if (!(await beginInterval(deps.db, intervalSeconds))) return false;
  await applyDeferredWrites(deps);
  return true;
}

/**
 * Applies all deferred writes, makes claim times coarse, and shuffles and vacuums recently written rows, so that the
 * tables do not show when a row was written.
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
