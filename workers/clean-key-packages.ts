import { cleanKeyPackages } from '#domain/key-packages/clean-key-packages.ts';
import type { JobRun } from './start-worker.ts';

/** Every half hour: key packages that nobody can or should use any more. */
export const cleanKeyPackagesJob: JobRun = ({ config, database: { db }, turn }) =>
  cleanKeyPackages({
    db,
    lease: turn,
    keyPackagesPerDeviceMax: config.MAX_KEY_PACKAGES_PER_DEVICE,
    consumedTtlHours: config.CONSUMED_KEY_PACKAGE_TTL_HOURS,
  });
