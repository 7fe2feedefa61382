import { createLruMap } from '#identity/lru-map.ts';
import type { Clock } from '#platform/clock.ts';
import { createBucketNames } from '../stores/bucket-names.ts';
import type { ClientAddress } from '../client-address/client-address.ts';
import { countNow, countOne } from './recent-count.ts';
import type { RecentCount } from './recent-count.ts';
import type { BucketNames } from '../stores/quota-store.ts';

/** A ban that begins, in closed words. */
export interface Ban {
  readonly of: 'address' | 'network';
  readonly minutes: number;
}

/** Who fails to prove an identity in ways that no honest client does, and who has to wait for it. */
export interface FailedAuth {
  /** Until the client's ban ends; 0 without one. */
  bannedForMs(client: ClientAddress): number;
  noteSuccess(client: ClientAddress): void;
  noteFailure(client: ClientAddress): void;
  /** How many prefixes are remembered. */
  prefixCounts(): { readonly failing: number; readonly succeeding: number; readonly banned: number };
}

export interface FailedAuthDeps {
  readonly clock: Clock;
  /** Failures within a minute that lead to a ban of one address; 0 bans nobody. */
  readonly banAfterFailures: number;
  readonly onBan?: (ban: Ban) => void;
  /** How many prefixes are remembered for each purpose; default 20,000. */
  readonly prefixesMax?: number;
}

interface BanState {
  readonly untilMs: number;
  readonly minutes: number;
}

/** Whom a failure counts against. */
interface FailureSource {
  readonly of: Ban['of'];
  readonly names: BucketNames;
  readonly failuresMax: number;
}

const minuteMs = 60_000;
const banMinutesMax = 60;
/** After a ban has been over for this long, the next one is short again. */
const quietMs = banMinutesMax * minuteMs;
/** How many addresses' worth of failures a whole /48 may have, as for the quota `network`. */
const addressesPerNetwork = 8;
const prefixesMaxDefault = 20_000;

/**
 * Bans an address, or the /48 of an IPv6 address, for 1, 2, 4 … 60 minutes after too many failures within a minute, but only when
 * they outnumber the successful authentications from there: all users of a PDS, a company or a mobile network may share an
 * address, and one bad client among them must not shut the others out (its failures still cost the quotas `address` and `failedAuth`).
 *
 * Everything is kept in memory only, under names that are HMACs, in maps of bounded size whose oldest entries go first.
 */
export function createFailedAuth(deps: FailedAuthDeps): FailedAuth {
  const { clock, banAfterFailures, prefixesMax = prefixesMaxDefault } = deps;
  const failures = createLruMap<string, RecentCount>(prefixesMax);
  const successes = createLruMap<string, RecentCount>(prefixesMax);
  const bans = createLruMap<string, BanState>(prefixesMax);
  const nameOf = createBucketNames(clock, { overlapMs: 2 * quietMs });

  function suspectsOf({ prefix, network }: ClientAddress): FailureSource[] {
    const address = { of: 'address', names: nameOf('failedAuth', prefix), failuresMax: banAfterFailures } as const;
    if (network === undefined) return [address];
    const failuresMax = banAfterFailures * addressesPerNetwork;
    return [address, { of: 'network', names: nameOf('failedAuth', network), failuresMax }];
  }

  function ban(countFailure: FailureSource, nowMs: number): void {
    const last = find(bans, countFailure.names);
    const isFirst = last === undefined || nowMs >= last.untilMs + quietMs;
    const minutes = isFirst ? 1 : Math.min(2 * last.minutes, banMinutesMax);
    bans.set(countFailure.names.current, { untilMs: nowMs + minutes * minuteMs, minutes });
    failures.delete(countFailure.names.current);
    deps.onBan?.({ of: countFailure.of, minutes });
  }

  return {
    bannedForMs(client) {
      // Names cost more than everything else here, and mostly nobody is banned.
      if (bans.size === 0) return 0;
      const nowMs = clock.monotonicMs();
      return suspectsOf(client).reduce(
        (longestMs, { names }) => Math.max(longestMs, (find(bans, names)?.untilMs ?? nowMs) - nowMs),
        0,
      );
    },
    noteSuccess(client) {
      if (banAfterFailures === 0) return;
      const nowMs = clock.monotonicMs();
      for (const { names } of suspectsOf(client)) {
        successes.set(names.current, countOne(find(successes, names), nowMs));
      }
    },
    noteFailure(client) {
      if (banAfterFailures === 0) return;
      const nowMs = clock.monotonicMs();
      for (const countFailure of suspectsOf(client)) {
        const { names, failuresMax } = countFailure;
        // What was under way when the ban began is not a reason for the next one.
        if ((find(bans, names)?.untilMs ?? nowMs) > nowMs) continue;
        const failed = countOne(find(failures, names), nowMs);
        failures.set(names.current, failed);
        const failedCount = countNow(failed, nowMs, 'atMost');
        if (failedCount < failuresMax || failedCount <= countNow(find(successes, names), nowMs, 'atLeast')) continue;
        ban(countFailure, nowMs);
      }
    },
    prefixCounts: () => ({ failing: failures.size, succeeding: successes.size, banned: bans.size }),
  };
}

/** Moves what is still under the name of yesterday's salt to today's. */
function find<Value>(
  map: ReturnType<typeof createLruMap<string, Value>>,
  { current, former }: BucketNames,
): Value | undefined {
  const known = map.peek(current);
  if (known !== undefined || former === undefined) return known;
  const moved = map.peek(former);
  if (moved === undefined) return undefined;
  map.delete(former);
  map.set(current, moved);
  return moved;
}
