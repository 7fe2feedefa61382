import { retireDevices } from '#domain/devices/retire-devices.ts';
import type { JobRun } from './start-worker.ts';

/** Daily: flags and removes devices that have been unseen for long. */
export const retireDevicesJob: JobRun = ({ config, lease }) =>
  retireDevices({ lease, inactiveDays: config.DEVICE_INACTIVE_DAYS, removalDays: config.DEVICE_REMOVAL_DAYS });
