import { retireDevices } from '#domain/devices/retire-devices.ts';
import type { JobRun } from './start-worker.ts';

/** Daily: devices that nobody has seen for long. */
export const retireDevicesJob: JobRun = ({ config, turn }) =>
  retireDevices({ turn, inactiveDays: config.DEVICE_INACTIVE_DAYS, removalDays: config.DEVICE_REMOVAL_DAYS });
