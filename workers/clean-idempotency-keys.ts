import { expiredIdempotencyKeys } from '#domain/idempotency/retention.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/** Removes responses whose idempotency keys have expired, every ten minutes. */
export const cleanIdempotencyKeysJob: JobRun = ({ lease }) => removeExpired(lease, [expiredIdempotencyKeys]);
