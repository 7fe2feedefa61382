import { countDeviceKeyPackages } from '#domain/devices/count-device-key-packages.ts';
import type { DeviceKeyPackageCount } from '#domain/devices/count-device-key-packages.ts';
import type { CursorCodec } from '#domain/events/cursor.ts';
import type { Clock } from '#platform/clock.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Database } from '#storage/connection/database.ts';
import { lowKeyPackagesFrame } from './frames.ts';
import type { Hub, Subscription } from './hub.ts';

/**
 * Tells people who are connected to this server which of their devices are low on key packages: when they connect, soon after
 * packages of theirs were handed out on any server, and when a worker rings. Nothing of it is stored.
 */
export interface KeyPackageWatch {
  /** Looks soon at the stock of those of `dids` who are connected here. */
  checkPeople(dids: Iterable<string>): void;
  /** Looks at the stock of everyone who is connected here. */
  checkEveryone(): void;
  /** Packages of these people were handed out here: all servers look. */
  noteClaims(dids: Iterable<string>): void;
  stop(): void;
}

export interface KeyPackageWatchDeps {
  readonly database: Database;
  readonly privacy: Privacy;
  readonly clock: Clock;
  readonly hub: Hub;
  readonly codec: CursorCodec;
  /** Has every server, this one too, `checkPeople` these people. */
  readonly tellServers: (dids: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
}

/** What comes within this time is looked at together. */
const pauseMs = 300;
const peoplePerLook = 500;
/** So that a ring between servers fits into one NOTIFY. */
const peoplePerRing = 100;
/** Of claims beyond this many people at once, the worker's next ring makes up. */
const peopleWaitingMax = 10_000;
/** One connection hears of one device again after this, or once it was restocked. */
const silenceMs = 6 * 3_600_000;

export function createKeyPackageWatch(deps: KeyPackageWatchDeps): KeyPackageWatch {
  const { clock, hub } = deps;
  const stopping = new AbortController();
  const told = new WeakMap<Subscription, Map<string, number>>();
  const looks = new Set<string>();
  const claims = new Set<string>();
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    try {
      while (looks.size + claims.size > 0) {
        await clock.sleep(pauseMs, stopping.signal);
        if (stopping.signal.aborted) return;
        while (claims.size > 0) deps.tellServers(take(claims, peoplePerRing));
        while (looks.size > 0) await tellOf(deps, told, take(looks, peoplePerLook)).catch(deps.onError);
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
      for (const did of dids) if (hub.hasPerson(did)) looks.add(did);
      if (looks.size > 0) wake();
    },
    checkEveryone() {
      for (const did of hub.people()) looks.add(did);
      if (looks.size > 0) wake();
    },
    noteClaims(dids) {
      for (const did of dids) if (claims.size < peopleWaitingMax) claims.add(did);
      if (claims.size > 0) wake();
    },
    stop: () => stopping.abort(),
  };
}

/** Takes up to `count` values out of the set. */
function take(set: Set<string>, count: number): string[] {
  const taken = [...set].slice(0, count);
  for (const value of taken) set.delete(value);
  return taken;
}

async function tellOf(
  deps: KeyPackageWatchDeps,
  told: WeakMap<Subscription, Map<string, number>>,
  dids: readonly string[],
): Promise<void> {
  const { database, privacy, clock, hub, codec } = deps;
  const stocks = await countDeviceKeyPackages({ db: database.db, privacy }, dids);
  const nowMs = clock.monotonicMs();
  const cursor = codec.encode({ ...hub.place, receivedAtMs: clock.nowMs() });
  for (const [did, devices] of stocks) {
    for (const subscription of hub.attachedOf(did)) {
      const toldOf = told.get(subscription) ?? new Map<string, number>();
      told.set(subscription, toldOf);
      const news = devices.filter((device) => isNews(toldOf, device, nowMs));
      for (const device of news) hub.send(subscription, lowKeyPackagesFrame(cursor, device));
    }
  }
}

/** Notes what is told. */
function isNews(toldOf: Map<string, number>, { deviceId, isLow }: DeviceKeyPackageCount, nowMs: number): boolean {
  const lastMs = toldOf.get(deviceId);
  if (!isLow) toldOf.delete(deviceId);
  if (!isLow || (lastMs !== undefined && nowMs - lastMs < silenceMs)) return false;
  toldOf.set(deviceId, nowMs);
  return true;
}
