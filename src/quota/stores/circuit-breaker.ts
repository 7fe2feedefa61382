/**
 * `shared` means that the store of all servers responds. `local` means that it does not respond, so that each server
 * counts separately.
 */
export type StoreState = 'shared' | 'local';

/** Decides for each charge whether the shared store is called. */
export interface CircuitBreaker {
  /**
   * Returns what to do with the next charge. `probe` means that the shared store is unavailable and that this call
   * checks whether it has recovered.
   */
  next(nowMs: number): 'call' | 'probe' | 'skip';
  isOpen(): boolean;
  failed(): void;
  succeeded(mode: 'call' | 'probe', nowMs: number): void;
  /**
   * Returns whether the shared store is unavailable or was unavailable within the last `windowMs`, so that it may lack
   * admitted charges.
   */
  mayLackCharges(nowMs: number, windowMs: number): boolean;
}

const probeEveryMs = 1_000;

/**
 * Creates a circuit breaker that opens on the first failure and closes on the first successful probe. It calls
 * `onChange` once for each change.
 */
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
      // Only a probe closes the breaker, because a call that began before the failure may succeed although the store is
      // now unavailable.
      if (state === 'shared' || mode === 'call') return;
      state = 'shared';
      recoveredAtMs = nowMs;
      onChange(state);
    },
    // A charge counts for up to a sixtieth longer than its window, because charges are counted in slots.
    mayLackCharges: (nowMs, windowMs) => state === 'local' || nowMs - recoveredAtMs < (windowMs * 61) / 60,
  };
}
