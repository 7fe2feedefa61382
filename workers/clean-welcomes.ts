import { consumedWelcomes, orphanedWelcomeMessages, unclaimedWelcomes } from '#domain/welcomes/retention.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/** Hourly: Welcomes that were consumed long enough ago, or that nobody fetched in time. */
export const cleanWelcomesJob: JobRun = ({ config, turn }) =>
  removeExpired(turn, [
    consumedWelcomes(config.WELCOME_TTL_DAYS),
    unclaimedWelcomes(config.KEY_PACKAGE_TTL_DAYS),
    orphanedWelcomeMessages,
  ]);
