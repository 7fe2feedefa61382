import { createLruMap } from '#identity/lru-map.ts';
import type { LruMap } from '#identity/lru-map.ts';
import type { Clock } from '#platform/clock.ts';
import { createBucketNames } from '../stores/keyed-bucket-names.ts';
import type { ClientAddress } from '../client-address/client-address.ts';
import { countInNewestSlot, countNow, countOne } from './recent-count.ts';
import type { RecentCount } from './recent-count.ts';
import type { BucketNamer } from '../stores/keyed-bucket-names.ts';
import type { BucketNames } from '../stores/quota-store.ts';

/** Describes a ban that begins, without the banned address. */
export interface Ban {
  readonly of: 'address' | 'network';
  readonly minutes: number;
}

/** Counts forged and malformed credentials, and bans the client addresses that send too many of them. */
export interface FailedAuth {
  /** Returns the milliseconds until the client's ban ends, or 0 without a ban. */
  bannedForMs(client: ClientAddress): number;
  recordSuccess(client: ClientAddress): void;
  recordFailure(client: ClientAddress): void;
  /** Returns the number of stored address prefixes by state. */
  prefixCounts(): { readonly failing: number; readonly succeeding: number; readonly banned: number };
}

export interface FailedAuthDeps {
  readonly clock: Clock;
  /** Failures within a minute that ban one address; 0 disables bans. */
  readonly banAfterFailures: number;
  readonly onBan?: (ban: Ban) => void;
  /**
   * Names the addresses. Must return previous names for two hours. The default has its own salt; the namer of the
   * quotas saves an HMAC for each request, because its names are computed anyway.
   */
  readonly namer?: BucketNamer;
  /** The maximum number of stored prefixes per map; default 20,000. */
  readonly prefixesMax?: number;
}

interface BanState {
  readonly untilMs: number;
  readonly minutes: number;
}

/** An address or a network for which failures are counted. */
interface FailureSource {
  readonly of: Ban['of'];
  readonly names: BucketNames;
  readonly failuresMax: number;
}

const minuteMs = 60_000;
const banMinutesMax = 60;
/** A ban lasts one minute again if it begins at least this many milliseconds after the end of the last ban. */
const escalationResetMs = banMinutesMax * minuteMs;
/** A /48 is banned only after this many times the failures of one address, as in the quota `network`. */
const addressesPerNetwork = 8;
const prefixesMaxDefault = 20_000;

/**
 * Creates the counter, which bans an address, or the /48 of an IPv6 address, for 1, 2, 4 … 60 minutes after too many
 * failures within a minute. No ban begins unless the failures outnumber the successful authentications, because many
 * users may share an address.
 */
export function createFailedAuth(deps: FailedAuthDeps): FailedAuth {
  const { clock, banAfterFailures, prefixesMax = prefixesMaxDefault } = deps;
  // The maps are in memory only, contain HMACs instead of addresses, and evict the oldest entry when they are full.
  const failures = createLruMap<string, RecentCount>(prefixesMax);
  const successes = createLruMap<string, RecentCount>(prefixesMax);
  const bans = createLruMap<string, BanState>(prefixesMax);
  const namer = deps.namer ?? createBucketNames(clock, { overlapMs: 2 * escalationResetMs });

  function sourcesOf({ prefix, network }: ClientAddress): FailureSource[] {
    const names = prefix.namesOf(namer, 'failedAuth');
    const address = { of: 'address', names, failuresMax: banAfterFailures } as const;
    if (network === undefined) return [address];
    const failuresMax = banAfterFailures * addressesPerNetwork;
    return [address, { of: 'network', names: network.namesOf(namer, 'failedAuth'), failuresMax }];
  }

  function ban(source: FailureSource, nowMs: number): void {
    const last = find(bans, source.names);
    const isFirst = last === undefined || nowMs >= last.untilMs + escalationResetMs;
    const minutes = isFirst ? 1 : Math.min(2 * last.minutes, banMinutesMax);
    bans.set(source.names.current, { untilMs: nowMs + minutes * minuteMs, minutes });
    failures.delete(source.names.current);
    deps.onBan?.({ of: source.of, minutes });
  }

  return {
    bannedForMs(client) {
      // Computing the names is expensive, so it is skipped while no client is banned.
      if (bans.size === 0) return 0;
      const nowMs = clock.monotonicMs();
      return sourcesOf(client).reduce(
        (longestMs, { names }) => Math.max(longestMs, (find(bans, names)?.untilMs ?? nowMs) - nowMs),
        0,
      );
    },
    recordSuccess(client) {
      if (banAfterFailures === 0) return;
      const nowMs = clock.monotonicMs();
      for (const { names } of sourcesOf(client)) countSuccess(successes, names, nowMs);
    },
    recordFailure(client) {
      if (banAfterFailures === 0) return;
      const nowMs = clock.monotonicMs();
      for (const source of sourcesOf(client)) {
        const { names, failuresMax } = source;
        // A request that was already running when the ban began must not cause the next ban.
        if ((find(bans, names)?.untilMs ?? nowMs) > nowMs) continue;
        const failed = countOne(find(failures, names), nowMs);
        failures.set(names.current, failed);
        const failedCount = countNow(failed, nowMs, 'atMost');
        if (failedCount < failuresMax || failedCount <= countNow(find(successes, names), nowMs, 'atLeast')) continue;
        ban(source, nowMs);
      }
    },
    prefixCounts: () => ({ failing: failures.size, succeeding: successes.size, banned: bans.size }),
  };
}

/** Counts a success. An address is marked as used only by its first success in each slot, because of the cost. */
function countSuccess(successes: LruMap<string, RecentCount>, names: BucketNames, nowMs: number): void {
  const counted = find(successes, names);
  if (counted !== undefined && countInNewestSlot(counted, nowMs)) return;
  successes.set(names.current, countOne(counted, nowMs));
}

/** Finds an entry under either name, and moves an entry from the name of the previous salt to the current name. */
function find<Value>(map: LruMap<string, Value>, { current, previous }: BucketNames): Value | undefined {
  const entry = map.peek(current);
  if (entry !== undefined || previous === undefined) return entry;
  const moved = map.peek(previous);
  if (moved === undefined) return undefined;
  map.delete(previous);
  map.set(current, moved);
  return moved;
}
