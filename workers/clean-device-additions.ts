import { expiredAdditionClaims } from '#domain/device-additions/retention.ts';
import { deleteExpiredWaiting } from '#domain/devices/waiting-devices.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/** Hourly: ends the waiting of devices after DEVICE_WAIT_DAYS, and removes claims of past days. */
export const cleanDeviceAdditionsJob: JobRun = async ({ config, lease }) => {
  const deviceWaitDays = config.DEVICE_WAIT_DAYS;
  const lists = await lease.inBatches((tx, rowsMax) => deleteExpiredWaiting({ db: tx, deviceWaitDays }, rowsMax));
  const claims = await removeExpired(lease, [expiredAdditionClaims]);
  return { removed: lists + claims.removed };
};
