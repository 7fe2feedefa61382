import { retireDevices } from '#domain/devices/retire-devices.ts';
import type { JobRun } from './start-worker.ts';

/**
 * Flags devices without activity for DEVICE_INACTIVE_DAYS, and removes devices flagged for DEVICE_REMOVAL_DAYS, once a
 * day.
 */
export const retireDevicesJob: JobRun = ({ config, lease }) =>
  retireDevices({ lease, inactiveDays: config.DEVICE_INACTIVE_DAYS, removalDays: config.DEVICE_REMOVAL_DAYS });
