import type { Clock } from '#platform/clock.ts';
import { identityError } from './identity-error.ts';

/** Runs at most so many tasks at once and lets a bounded number wait for a bounded time. */
export interface FetchGate {
  /** @throws AppError IdentityUnavailable when too many wait already, or the turn came too late. */
  run<T>(task: () => Promise<T>): Promise<T>;
}

export interface FetchGateLimits {
  readonly runningMax: number;
  readonly waitingMax: number;
  readonly waitMsMax: number;
}

export function createFetchGate(clock: Clock, limits: FetchGateLimits): FetchGate {
  const waiting: (() => void)[] = [];
  let running = 0;

  async function takeTurn(): Promise<void> {
    if (running < limits.runningMax) {
      running += 1;
      return;
    }
    if (waiting.length >= limits.waitingMax) throw identityError('IdentityUnavailable');
    const since = clock.monotonicMs();
    await new Promise<void>((resolve) => waiting.push(resolve));
    if (clock.monotonicMs() - since > limits.waitMsMax) {
      passTurn();
      throw identityError('IdentityUnavailable');
    }
  }

  /** A turn goes straight to the longest waiting task, so that nobody can slip in between. */
  function passTurn(): void {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
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
