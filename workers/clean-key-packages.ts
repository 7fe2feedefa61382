import { cleanAdditions } from '#domain/device-additions/clean-additions.ts';
import { cleanKeyPackages } from '#domain/key-packages/clean-key-packages.ts';
import type { JobRun } from './start-worker.ts';

/** Every half hour: key packages that nobody can or should use any more, and devices that have waited long enough. */
export const cleanKeyPackagesJob: JobRun = async ({ database: { db }, config }) => {
  const packages = await cleanKeyPackages({ db, keyPackagesPerDeviceMax: config.MAX_KEY_PACKAGES_PER_DEVICE });
  const additions = await cleanAdditions({ db });
  return { removed: packages.removed + additions.removed };
};
