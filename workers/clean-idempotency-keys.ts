import { expiredIdempotencyKeys } from '#domain/idempotency/retention.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/** Every ten minutes: removes responses whose idempotency keys have expired. */
export const cleanIdempotencyKeysJob: JobRun = ({ lease }) => removeExpired(lease, [expiredIdempotencyKeys]);
