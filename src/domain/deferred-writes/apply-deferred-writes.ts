import { applyListChanges } from '#domain/accounts/apply-list-changes.ts';
import {
  coarsenClaimTimes,
  hasExactClaimTimes,
  applyKeyPackageUses,
} from '#domain/key-packages/claiming/apply-key-package-uses.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { hasUnshuffledRows, shuffledTables, shuffleRows, vacuumShuffledTables } from '#storage/rows/shuffled-rows.ts';
import { beginInterval, countDeferredWrites, isIntervalOver } from './store.ts';

/** So many are carried over without waiting for the end of the interval: readers of lists look through all changes (9 µs each). */
const changesWaitingMax = 64;
const usesWaitingMax = 256;
const claimsPerBatchMax = 1_000;

interface DeferredWritesDeps {
  readonly db: Db;
  readonly privacy: Privacy;
}

/**
 * What the transactions of conversations have left to be written into rows of people: their lists of conversations, and which key
 * packages are used. Done when enough waits, or when something waits and `intervalSeconds` are over since the last time; called every
 * few seconds by every server. What a process that died has left, the next call of any server carries over.
 * @returns whether an interval ended with a settlement by this call.
 */
export async function applyDeferredWritesWhenDue(deps: DeferredWritesDeps, intervalSeconds: number): Promise<boolean> {
  const { changes, uses } = await countDeferredWrites(deps.db, usesWaitingMax);
  if (changes >= changesWaitingMax || uses >= usesWaitingMax) await applyWaiting(deps);
  if (!(await isIntervalOver(deps.db, intervalSeconds))) return false;
  if (changes + uses === 0 && !(await hasExactClaimTimes(deps.db)) && !(await hasUnshuffledRows(deps.db))) return false;
  if (!(await beginInterval(deps.db, intervalSeconds))) return false;
  await applyDeferredWrites(deps);
  return true;
}

/** Carries over everything that waits now, mixes what was written lately, and clears the pages of what stood there before. */
export async function applyDeferredWrites(deps: DeferredWritesDeps): Promise<void> {
  await applyWaiting(deps);
  while ((await coarsenClaimTimes(deps.db, claimsPerBatchMax)) === claimsPerBatchMax);
  for (const table of shuffledTables) while (!(await shuffleRows(deps.db, table)).isLast);
  await vacuumShuffledTables(deps.db);
}

async function applyWaiting(deps: DeferredWritesDeps): Promise<void> {
  while ((await applyListChanges(deps)) > 0);
  while ((await applyKeyPackageUses(deps)) > 0);
}
