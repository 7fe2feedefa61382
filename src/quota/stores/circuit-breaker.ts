/** `shared`: the store that servers share responds. `local`: it does not respond, and each server counts on its own. */
export type StoreState = 'shared' | 'local';

/** Decides whether the shared store is called. */
export interface CircuitBreaker {
  /** `probe`: the store is unavailable, but this call is made to check whether it has recovered. */
  next(nowMs: number): 'call' | 'probe' | 'skip';
  isOpen(): boolean;
  failed(): void;
  succeeded(mode: 'call' | 'probe', nowMs: number): void;
  /**
   * Whether the store is, or was within the last `windowMs`, unavailable, so that it may lack charges that were
   * admitted.
   */
  mayLackCharges(nowMs: number, windowMs: number): boolean;
}

const probeEveryMs = 1_000;

/** Opens on the first failure and closes on the first probe that succeeds. Calls `onChange` once per change. */
export function createCircuitBreaker(onChange: (state: StoreState) => void): CircuitBreaker {
  let state: StoreState = 'shared';
  let probedAtMs = -Infinity;
  let recoveredAtMs = -Infinity;
  return {
    next(nowMs) {
      if (state === 'shared') return 'call';
      if (nowMs - probedAtMs < probeEveryMs) return 'skip';
      probedAtMs = nowMs;
      return 'probe';
    },
    isOpen: () => state === 'local',
    failed() {
      if (state === 'local') return;
      state = 'local';
      onChange(state);
    },
    succeeded(mode, nowMs) {
      // A call that began before the failure may succeed although the store is now unavailable.
      if (state === 'shared' || mode === 'call') return;
      state = 'shared';
      recoveredAtMs = nowMs;
      onChange(state);
    },
    // A slot counts for up to a sixtieth longer than its window.
    mayLackCharges: (nowMs, windowMs) => state === 'local' || nowMs - recoveredAtMs < (windowMs * 61) / 60,
  };
}
