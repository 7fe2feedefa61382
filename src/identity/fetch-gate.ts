import type { Clock } from '#platform/clock.ts';
import { identityError } from './identity-error.ts';
import { standings } from './known-addresses.ts';
import type { Standing } from './known-addresses.ts';

/** Runs at most so many tasks at once and lets a bounded number wait for a bounded time, the best standing first. */
export interface FetchGate {
  /**
   * Default: `owner`.
   * @throws AppError IdentityUnavailable when too many wait already, or no turn came in time.
   */
  run<T>(task: () => Promise<T>, standing?: Standing): Promise<T>;
}

/** One gate for each key, for as long as somebody is at it. */
export interface KeyedFetchGate {
  /** @throws AppError IdentityUnavailable when too many wait at this key already, or no turn came in time. */
  run<T>(key: string, task: () => Promise<T>): Promise<T>;
}

export interface FetchGateLimits {
  readonly runningMax: number;
  readonly waitingMax: number;
  readonly waitMsMax: number;
  /** Of `runningMax`, how many never run for addresses without a proof; default 0. */
  readonly provenOnly?: number;
}

interface Turn {
  readonly standing: Standing;
  readonly end: AbortController;
  isTaken: boolean;
}

export function createFetchGate(clock: Clock, limits: FetchGateLimits): FetchGate {
  /** In the order in which they came. */
  const waiting = new Set<Turn>();
  let running = 0;

  function hasRoomFor(standing: Standing): boolean {
    return running < limits.runningMax - (standing === 'unproven' ? (limits.provenOnly ?? 0) : 0);
  }

  async function takeTurn(standing: Standing): Promise<void> {
    if (hasRoomFor(standing)) {
      running += 1;
      return;
    }
    if (waiting.size >= limits.waitingMax && !displaceOne(waiting, standing))
      throw identityError('IdentityUnavailable');
    const turn = { standing, end: new AbortController(), isTaken: false };
    waiting.add(turn);
    await clock.sleep(limits.waitMsMax, turn.end.signal);
    waiting.delete(turn);
    if (!turn.isTaken) throw identityError('IdentityUnavailable');
  }

  /** A turn goes straight to the longest waiting task of the best standing, so that nobody can slip in between. */
  function passTurn(): void {
    running -= 1;
    const next = bestOf(waiting);
    if (next === undefined || !hasRoomFor(next.standing)) return;
    running += 1;
    waiting.delete(next);
    next.isTaken = true;
    next.end.abort();
  }

  return {
    async run(task, standing = 'owner') {
      await takeTurn(standing);
      try {
        return await task();
      } finally {
        passTurn();
      }
    },
  };
}

/** The longest waiting of the best standing. */
function bestOf(waiting: ReadonlySet<Turn>): Turn | undefined {
  const turns = [...waiting];
  for (const standing of standings) {
    const first = turns.find((turn) => turn.standing === standing);
    if (first !== undefined) return first;
  }
  return undefined;
}

/** The newest of those that wait with a worse standing gives up its place. @returns whether there was one. */
function displaceOne(waiting: Set<Turn>, standing: Standing): boolean {
  for (const worse of standings.slice(standings.indexOf(standing) + 1).toReversed()) {
    const last = [...waiting].findLast((turn) => turn.standing === worse);
    if (last === undefined) continue;
    waiting.delete(last);
    last.end.abort();
    return true;
  }
  return false;
}

export function createKeyedFetchGate(clock: Clock, limits: FetchGateLimits): KeyedFetchGate {
  const gates = new Map<string, { readonly gate: FetchGate; users: number }>();
  return {
    async run(key, task) {
      const entry = gates.get(key) ?? { gate: createFetchGate(clock, limits), users: 0 };
      gates.set(key, entry);
      entry.users += 1;
      try {
        return await entry.gate.run(task);
      } finally {
        entry.users -= 1;
        if (entry.users === 0) gates.delete(key);
      }
    },
  };
}
