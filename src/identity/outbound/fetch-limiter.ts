import type { Clock } from '#platform/clock.ts';
import { identityError } from '../identity-error.ts';
import { proofLevels } from '../did-documents/authenticated-addresses.ts';
import type { ProofLevel } from '../did-documents/authenticated-addresses.ts';

/** Runs at most so many tasks at once and lets a bounded number wait for a bounded time, the best proofLevel first. */
export interface FetchLimiter {
  /**
   * Default: `owner`.
   * @throws AppError IdentityUnavailable when too many wait already, or no turn came in time.
   */
  run<T>(task: () => Promise<T>, proofLevel?: ProofLevel): Promise<T>;
}

/** One gate for each key, for as long as somebody is at it. */
export interface KeyedFetchLimiter {
  /** @throws AppError IdentityUnavailable when too many wait at this key already, or no turn came in time. */
  run<T>(key: string, task: () => Promise<T>): Promise<T>;
}

export interface FetchLimiterOptions {
  readonly runningMax: number;
  readonly waitingMax: number;
  readonly waitMsMax: number;
  /** Of `runningMax`, how many never run for addresses without a proof; default 0. */
  readonly provenOnly?: number;
}

interface Turn {
  readonly proofLevel: ProofLevel;
  readonly end: AbortController;
  isTaken: boolean;
}

export function createFetchLimiter(clock: Clock, limits: FetchLimiterOptions): FetchLimiter {
  /** In the order in which they came. */
  const waiting = new Set<Turn>();
  let running = 0;

  function hasRoomFor(proofLevel: ProofLevel): boolean {
    return running < limits.runningMax - (proofLevel === 'unproven' ? (limits.provenOnly ?? 0) : 0);
  }

  async function acquireLease(proofLevel: ProofLevel): Promise<void> {
    if (hasRoomFor(proofLevel)) {
      running += 1;
      return;
    }
    if (waiting.size >= limits.waitingMax && !displaceOne(waiting, proofLevel))
      throw identityError('IdentityUnavailable');
    const turn = { proofLevel, end: new AbortController(), isTaken: false };
    waiting.add(turn);
    await clock.sleep(limits.waitMsMax, turn.end.signal);
    waiting.delete(turn);
    if (!turn.isTaken) throw identityError('IdentityUnavailable');
  }

  /** A turn goes straight to the longest waiting task of the best proofLevel, so that nobody can slip in between. */
  function passTurn(): void {
    running -= 1;
    const next = bestOf(waiting);
    if (next === undefined || !hasRoomFor(next.proofLevel)) return;
    running += 1;
    waiting.delete(next);
    next.isTaken = true;
    next.end.abort();
  }

  return {
    async run(task, proofLevel = 'owner') {
      await acquireLease(proofLevel);
      try {
        return await task();
      } finally {
        passTurn();
      }
    },
  };
}

/** The longest waiting of the best proofLevel. */
function bestOf(waiting: ReadonlySet<Turn>): Turn | undefined {
  const turns = [...waiting];
  for (const proofLevel of proofLevels) {
    const first = turns.find((turn) => turn.proofLevel === proofLevel);
    if (first !== undefined) return first;
  }
  return undefined;
}

/** The newest of those that wait with a worse proofLevel gives up its place. @returns whether there was one. */
function displaceOne(waiting: Set<Turn>, proofLevel: ProofLevel): boolean {
  for (const worse of proofLevels.slice(proofLevels.indexOf(proofLevel) + 1).toReversed()) {
    const last = [...waiting].findLast((turn) => turn.proofLevel === worse);
    if (last === undefined) continue;
    waiting.delete(last);
    last.end.abort();
    return true;
  }
  return false;
}

export function createKeyedFetchLimiter(clock: Clock, limits: FetchLimiterOptions): KeyedFetchLimiter {
  const gates = new Map<string, { readonly gate: FetchLimiter; users: number }>();
  return {
    async run(key, task) {
      const entry = gates.get(key) ?? { gate: createFetchLimiter(clock, limits), users: 0 };
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
