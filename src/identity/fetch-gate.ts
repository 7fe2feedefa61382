import type { Clock } from '#platform/clock.ts';
import { identityError } from './identity-error.ts';

/** Runs at most so many tasks at once and lets a bounded number wait for a bounded time. */
export interface FetchGate {
  /** @throws AppError IdentityUnavailable when too many wait already, or no turn came in time. */
  run<T>(task: () => Promise<T>): Promise<T>;
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
}

export function createFetchGate(clock: Clock, limits: FetchGateLimits): FetchGate {
  /** In the order in which they came. */
  const waiting = new Set<() => void>();
  let running = 0;

  async function takeTurn(): Promise<void> {
    if (running < limits.runningMax) {
      running += 1;
      return;
    }
    if (waiting.size >= limits.waitingMax) throw identityError('IdentityUnavailable');
    const turn = new AbortController();
    const take = (): void => turn.abort();
    waiting.add(take);
    await clock.sleep(limits.waitMsMax, turn.signal);
    waiting.delete(take);
    if (!turn.signal.aborted) throw identityError('IdentityUnavailable');
  }

  /** A turn goes straight to the longest waiting task, so that nobody can slip in between. */
  function passTurn(): void {
    const [next] = waiting;
    if (next === undefined) {
      running -= 1;
      return;
    }
    waiting.delete(next);
    next();
  }

  return {
    async run(task) {
      await takeTurn();
      try {
        return await task();
      } finally {
        passTurn();
      }
    },
  };
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
