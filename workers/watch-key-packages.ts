import { notifyKeyPackageChecks } from '#storage/notifications/key-package-checks.ts';
import type { JobRun } from './start-worker.ts';

/**
 * Makes every server check the available key packages of its connected people, every 15 minutes. The notification names
 * no person, because a worker has no identity key to map rows to people.
 */
export const watchKeyPackagesJob: JobRun = async ({ lease }) => {
  await lease.step((tx) => notifyKeyPackageChecks(tx));
  return { removed: 0 };
};
