/** `shared`: the store that servers share answers. `local`: it does not, and each server counts for itself. */
export type StoreState = 'shared' | 'local';

/** Decides whether a store that may be broken is asked. */
export interface CircuitBreaker {
  /** `probe`: it is broken, but this once it is asked, to see whether it is back. */
  next(nowMs: number): 'ask' | 'probe' | 'skip';
  isBroken(): boolean;
  failed(): void;
  succeeded(asked: 'ask' | 'probe', nowMs: number): void;
  /** Whether the store is, or was within the last `windowMs`, broken, so that it does not know all that was admitted. */
  isDoubtful(nowMs: number, windowMs: number): boolean;
}

const probeEveryMs = 1_000;

/** Opens with the first failure, closes with the first probe that succeeds. `onChange` is called once for each change. */
export function createCircuitBreaker(onChange: (state: StoreState) => void): CircuitBreaker {
  let state: StoreState = 'shared';
  let probedAtMs = -Infinity;
  let repairedAtMs = -Infinity;
  return {
    next(nowMs) {
      if (state === 'shared') return 'ask';
      if (nowMs - probedAtMs < probeEveryMs) return 'skip';
      probedAtMs = nowMs;
      return 'probe';
    },
    isBroken: () => state === 'local',
    failed() {
      if (state === 'local') return;
      state = 'local';
      onChange(state);
    },
    succeeded(asked, nowMs) {
      // An answer to what was asked before the failure says nothing about now.
      if (state === 'shared' || asked === 'ask') return;
      state = 'shared';
      repairedAtMs = nowMs;
      onChange(state);
    },
    // A slot counts for up to a sixtieth longer than its window.
    isDoubtful: (nowMs, windowMs) => state === 'local' || nowMs - repairedAtMs < (windowMs * 61) / 60,
  };
}
