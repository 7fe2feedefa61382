import { countDeviceKeyPackages } from '#domain/devices/count-device-key-packages.ts';
import type { DeviceKeyPackageCount } from '#domain/devices/count-device-key-packages.ts';
import type { CursorCodec } from '#domain/events/cursor.ts';
import type { Clock } from '#platform/clock.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Database } from '#storage/connection/database.ts';
import { lowKeyPackagesFrame } from './frames.ts';
import type { Hub, Subscription } from './hub.ts';

/**
 * Notifies the people who are connected to this server of their devices that are low on key packages. Checks them when
 * they connect, soon after their key packages were claimed on any server, and when a worker requests it. The notices
 * are not stored.
 */
export interface KeyPackageWatch {
  /** Checks, within `pauseMs`, the available key packages of those `dids` that are connected to this server. */
  checkPeople(dids: Iterable<string>): void;
  /** Checks the available key packages of all people who are connected to this server. */
  checkEveryone(): void;
  /** Makes all servers check these people, because key packages of theirs were claimed on this server. */
  noteClaims(dids: Iterable<string>): void;
  stop(): void;
}

export interface KeyPackageWatchDeps {
  readonly database: Database;
  readonly privacy: Privacy;
  readonly clock: Clock;
  readonly hub: Hub;
  readonly codec: CursorCodec;
  /** Calls `checkPeople` on every server, including this one. */
  readonly broadcastClaims: (dids: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
}

/** Requests that arrive within this time are checked together. */
const pauseMs = 300;
const peoplePerCheck = 500;
/** Limits a broadcast so that it fits into one NOTIFY. */
const peoplePerBroadcast = 100;
/** While this number of people waits, further claims are dropped, because the worker's next check covers them. */
const peopleWaitingMax = 10_000;
/**
 * Milliseconds before a connection is notified of the same device again, unless the device had enough key packages in
 * between.
 */
const repeatAfterMs = 6 * 3_600_000;

/** The time of the last notice for each subscription and device id. */
type NoticeTimes = WeakMap<Subscription, Map<string, number>>;

export function createKeyPackageWatch(deps: KeyPackageWatchDeps): KeyPackageWatch {
  const { clock, hub } = deps;
  const stopping = new AbortController();
  const notified: NoticeTimes = new WeakMap();
  const checks = new Set<string>();
  const claims = new Set<string>();
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    try {
      while (checks.size + claims.size > 0) {
        await clock.sleep(pauseMs, stopping.signal);
        if (stopping.signal.aborted) return;
        while (claims.size > 0) deps.broadcastClaims(take(claims, peoplePerBroadcast));
        while (checks.size > 0) await checkNow(deps, notified, take(checks, peoplePerCheck)).catch(deps.onError);
      }
    } finally {
      isRunning = false;
    }
  }

  function wake(): void {
    if (!isRunning) run().catch(deps.onError);
  }

  return {
    checkPeople(dids) {
      for (const did of dids) if (hub.hasPerson(did)) checks.add(did);
      if (checks.size > 0) wake();
    },
    checkEveryone() {
      for (const did of hub.people()) checks.add(did);
      if (checks.size > 0) wake();
    },
    noteClaims(dids) {
      for (const did of dids) if (claims.size < peopleWaitingMax) claims.add(did);
      if (claims.size > 0) wake();
    },
    stop: () => stopping.abort(),
  };
}

/** Removes up to `count` values from the set and returns them. */
function take(set: Set<string>, count: number): string[] {
  const taken = [...set].slice(0, count);
  for (const value of taken) set.delete(value);
  return taken;
}

async function checkNow(deps: KeyPackageWatchDeps, notified: NoticeTimes, dids: readonly string[]): Promise<void> {
  const { database, privacy, clock, hub, codec } = deps;
  const counts = await countDeviceKeyPackages({ db: database.db, privacy }, dids);
  const nowMs = clock.monotonicMs();
  const cursor = codec.encode({ ...hub.position, receivedAtMs: clock.nowMs() });
  for (const [did, devices] of counts) {
    for (const subscription of hub.attachedOf(did)) {
      const times = notified.get(subscription) ?? new Map<string, number>();
      notified.set(subscription, times);
      const due = devices.filter((device) => noteIfDue(times, device, nowMs));
      for (const device of due) hub.send(subscription, lowKeyPackagesFrame(cursor, device));
    }
  }
}

/** Returns whether a notice of the device is due on a connection, and if so records it as sent. */
function noteIfDue(times: Map<string, number>, { deviceId, isLow }: DeviceKeyPackageCount, nowMs: number): boolean {
  const lastMs = times.get(deviceId);
  if (!isLow) times.delete(deviceId);
  if (!isLow || (lastMs !== undefined && nowMs - lastMs < repeatAfterMs)) return false;
  times.set(deviceId, nowMs);
  return true;
}
