import { settleConversationLists } from '#domain/accounts/settle-conversation-lists.ts';
import { coarsenClaims, hasFineClaims, settleUses } from '#domain/key-packages/settle-key-packages.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/database.ts';
import { hasUnmixed, mixedTables, mixRows, vacuumMixed } from '#storage/mixed-rows.ts';
import { beginInterval, countWaiting, isIntervalOver } from './store.ts';

/** So many are carried over without waiting for the end of the interval: readers of lists look through all changes (9 µs each). */
const changesWaitingMax = 64;
const usesWaitingMax = 256;
const claimsPerBatchMax = 1_000;

interface SettleDeps {
  readonly db: Db;
  readonly privacy: Privacy;
}

/**
 * What the transactions of conversations have left to be written into rows of people: their lists of conversations, and which key
 * packages are used. Done when enough waits, or when something waits and `intervalSeconds` are over since the last time; called every
 * few seconds by every server. What a process that died has left, the next call of any server carries over.
 * @returns whether an interval ended with a settlement by this call.
 */
export async function settleWhenDue(deps: SettleDeps, intervalSeconds: number): Promise<boolean> {
  const { changes, uses } = await countWaiting(deps.db, usesWaitingMax);
  if (changes >= changesWaitingMax || uses >= usesWaitingMax) await settleWaiting(deps);
  if (!(await isIntervalOver(deps.db, intervalSeconds))) return false;
  if (changes + uses === 0 && !(await hasFineClaims(deps.db)) && !(await hasUnmixed(deps.db))) return false;
  if (!(await beginInterval(deps.db, intervalSeconds))) return false;
  await settleWrites(deps);
  return true;
}

/** Carries over everything that waits now, mixes what was written lately, and clears the pages of what stood there before. */
export async function settleWrites(deps: SettleDeps): Promise<void> {
  await settleWaiting(deps);
  while ((await coarsenClaims(deps.db, claimsPerBatchMax)) === claimsPerBatchMax);
  for (const table of mixedTables) while (!(await mixRows(deps.db, table)).isLast);
  await vacuumMixed(deps.db);
}

async function settleWaiting(deps: SettleDeps): Promise<void> {
  while ((await settleConversationLists(deps)) > 0);
  while ((await settleUses(deps)) > 0);
}
