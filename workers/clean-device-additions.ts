import { expiredAdditionClaims } from '#domain/device-additions/retention.ts';
import { deleteExpiredWaiting } from '#domain/devices/waiting-devices.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/** Hourly: what devices waited for longer than anybody will still add them, and claims of days that are over. */
export const cleanDeviceAdditionsJob: JobRun = async ({ config, turn }) => {
  const deviceWaitDays = config.DEVICE_WAIT_DAYS;
  const lists = await turn.inBatches((tx, rowsMax) => deleteExpiredWaiting({ db: tx, deviceWaitDays }, rowsMax));
  const claims = await removeExpired(turn, [expiredAdditionClaims]);
  return { removed: lists + claims.removed };
};
