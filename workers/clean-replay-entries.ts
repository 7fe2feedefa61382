import { removeExpired } from '#jobs/remove-expired.ts';
import { expiredQuotaRows } from '#storage/rows/quota-rows.ts';
import { expiredReplayEntries } from '#storage/rows/replay-entries.ts';
import { expiredTokensNotBefore } from '#storage/rows/token-not-before.ts';
import type { JobRun } from './start-worker.ts';

/**
 * Removes expired tokens and tickets, expired revocations of tokens, and quota rows without effect, every five minutes.
 */
export const cleanReplayEntriesJob: JobRun = ({ lease }) =>
  removeExpired(lease, [expiredReplayEntries, expiredTokensNotBefore, expiredQuotaRows]);
