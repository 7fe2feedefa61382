import { changeAccountSettings } from '#domain/accounts/change-account-settings.ts';
import type { Caller } from '#domain/caller.ts';
import { requireDeviceTag } from '#domain/devices/require-device.ts';
import type { Clock } from '#platform/clock.ts';
import { timeBucketMs } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';

export interface OptInDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly clock: Clock;
  readonly timeBucketSeconds: number;
}

/**
 * The caller takes part in MLS chats from now on; saying so again changes nothing.
 * @returns since when, rounded down to the time bucket.
 * @throws AppError DeviceNotFound when a device is named that the caller does not have.
 */
export async function optIn(deps: OptInDeps, caller: Caller, input: { deviceId: string | undefined }): Promise<Date> {
  if (input.deviceId !== undefined) await requireDeviceTag(deps, caller, input.deviceId);
  const sinceMs = nowMs(deps);
  const settings = await changeAccountSettings(deps, caller.did, (before) =>
    before.optIn?.choice === 'in' ? before : { ...before, optIn: { choice: 'in', sinceMs } },
  );
  return new Date(settings.optIn?.sinceMs ?? sinceMs);
}

/** From now on the caller's key packages go to nobody else, and they look like somebody who was never here. */
export async function optOut(deps: OptInDeps, caller: Caller): Promise<void> {
  const sinceMs = nowMs(deps);
  await changeAccountSettings(deps, caller.did, (before) =>
    before.optIn?.choice === 'out' ? before : { ...before, optIn: { choice: 'out', sinceMs } },
  );
}

function nowMs(deps: OptInDeps): number {
  return timeBucketMs(deps.clock.nowMs(), deps.timeBucketSeconds);
}
