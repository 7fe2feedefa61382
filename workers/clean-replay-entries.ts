import { removeExpired } from '#jobs/remove-expired.ts';
import { expiredQuotaRows } from '#storage/rows/quota-rows.ts';
import { expiredReplayEntries } from '#storage/rows/replay-entries.ts';
import { expiredTokensNotBefore } from '#storage/rows/token-not-before.ts';
import type { JobRun } from './start-worker.ts';

/**
 * Every five minutes: removes used tokens and tickets that have expired, and counts of requests that no longer count.
 */
export const cleanReplayEntriesJob: JobRun = ({ lease }) =>
  removeExpired(lease, [expiredReplayEntries, expiredTokensNotBefore, expiredQuotaRows]);
