import { consumedWelcomes, orphanedWelcomeMessages, unclaimedWelcomes } from '#domain/welcomes/retention.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/** Hourly: removes Welcomes consumed long enough ago, and those that were not fetched in time. */
export const cleanWelcomesJob: JobRun = ({ config, lease }) =>
  removeExpired(lease, [
    consumedWelcomes(config.WELCOME_TTL_DAYS),
    unclaimedWelcomes(config.KEY_PACKAGE_TTL_DAYS),
    orphanedWelcomeMessages,
  ]);
