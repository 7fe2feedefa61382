import { notifyKeyPackageChecks } from '#storage/notifications/key-package-checks.ts';
import type { JobRun } from './start-worker.ts';

/**
 * Every quarter of an hour: makes every server check the available key packages of its connected people. A worker has
 * no identity key and cannot map rows to people, so the notification has no payload.
 */
export const watchKeyPackagesJob: JobRun = async ({ lease }) => {
  await lease.step((tx) => notifyKeyPackageChecks(tx));
  return { removed: 0 };
};
