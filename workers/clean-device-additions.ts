import { expiredAdditionClaims } from '#domain/device-additions/retention.ts';
import { deleteExpiredWaiting } from '#domain/devices/waiting-devices.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/**
 * Removes lists of conversations that devices waited for longer than DEVICE_WAIT_DAYS, and expired claims of additions,
 * once an hour.
 */
export const cleanDeviceAdditionsJob: JobRun = async ({ config, lease }) => {
  const deviceWaitDays = config.DEVICE_WAIT_DAYS;
  const lists = await lease.inBatches((tx, rowsMax) => deleteExpiredWaiting({ db: tx, deviceWaitDays }, rowsMax));
  const claims = await removeExpired(lease, [expiredAdditionClaims]);
  return { removed: lists + claims.removed };
};
