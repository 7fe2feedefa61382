import { notifyKeyPackageChecks } from '#storage/notifications/key-package-checks.ts';
import type { JobRun } from './start-worker.ts';

/**
 * Every quarter of an hour: has every server look after the stock of those who are connected to it. A worker has no key to tell
 * whose stock is whose, so the bell says nothing but that it rang.
 */
export const watchKeyPackagesJob: JobRun = async ({ turn }) => {
  await turn.step((tx) => notifyKeyPackageChecks(tx));
  return { removed: 0 };
};
