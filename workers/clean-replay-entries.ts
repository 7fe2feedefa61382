import { removeExpired } from '#jobs/remove-expired.ts';
import { expiredReplayEntries } from '#storage/replay-entries.ts';
import type { JobRun } from './start-worker.ts';

/** Every five minutes: used tokens and tickets that have expired by now, so that nobody can use them again. */
export const cleanReplayEntriesJob: JobRun = ({ turn }) => removeExpired(turn, [expiredReplayEntries]);
