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
 * Opts the caller in to MLS chats. A repeated call changes nothing.
 * @returns the time of the opt-in, rounded down to the time bucket.
 * @throws AppError DeviceNotFound when the caller does not have the named device.
 */
export async function optIn(deps: OptInDeps, caller: Caller, input: { deviceId: string | undefined }): Promise<Date> {
  if (input.deviceId !== undefined) await requireDeviceTag(deps, caller, input.deviceId);
  const sinceMs = nowMs(deps);
  const settings = await changeAccountSettings(deps, caller.did, (before) =>
    before.optIn?.choice === 'in' ? before : { ...before, optIn: { choice: 'in', sinceMs } },
  );
  return new Date(settings.optIn?.sinceMs ?? sinceMs);
}

/**
 * Opts the caller out of MLS chats. Other people then no longer get the caller's key packages, and see the caller like
 * a person without an account.
 */
export async function optOut(deps: OptInDeps, caller: Caller): Promise<void> {
  const sinceMs = nowMs(deps);
  await changeAccountSettings(deps, caller.did, (before) =>
    before.optIn?.choice === 'out' ? before : { ...before, optIn: { choice: 'out', sinceMs } },
  );
}

function nowMs(deps: OptInDeps): number {
  return timeBucketMs(deps.clock.nowMs(), deps.timeBucketSeconds);
}
