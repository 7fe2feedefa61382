import { consumedWelcomes, orphanedWelcomeMessages, unclaimedWelcomes } from '#domain/welcomes/retention.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/**
 * Removes Welcomes that were consumed WELCOME_TTL_DAYS ago or not consumed within KEY_PACKAGE_TTL_DAYS, once an hour.
 */
export const cleanWelcomesJob: JobRun = ({ config, lease }) =>
  removeExpired(lease, [
    consumedWelcomes(config.WELCOME_TTL_DAYS),
    unclaimedWelcomes(config.KEY_PACKAGE_TTL_DAYS),
    orphanedWelcomeMessages,
  ]);
