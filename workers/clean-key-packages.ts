import { cleanKeyPackages } from '#domain/key-packages/clean-key-packages.ts';
import type { JobRun } from './start-worker.ts';

/** Removes consumed, expired and surplus key packages every half hour. */
export const cleanKeyPackagesJob: JobRun = ({ config, database: { db }, lease }) =>
  cleanKeyPackages({
    db,
    lease,
    keyPackagesPerDeviceMax: config.MAX_KEY_PACKAGES_PER_DEVICE,
    consumedTtlHours: config.CONSUMED_KEY_PACKAGE_TTL_HOURS,
  });
