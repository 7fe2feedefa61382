import { expiredIdempotencyKeys } from '#domain/idempotency/retention.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/** Every ten minutes: answers that nobody can be given any more. */
export const cleanIdempotencyKeysJob: JobRun = ({ turn }) => removeExpired(turn, [expiredIdempotencyKeys]);
