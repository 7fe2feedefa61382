import type { TokenMark, TokenResult } from '#storage/rows/replay-entries.ts';
import { authError } from './auth-error.ts';
import { refuseReplayedToken } from './refuse-replayed-tokens.ts';
import type { ReplayGuard } from './replay-guard.ts';

/** The use of a token that passed all other checks, and that the statement of an operation may record. */
export class DeferredTokenUse {
  readonly mark: TokenMark;
  readonly #guard: ReplayGuard;
  readonly #onFirstUse: () => void;
  /** Whether nothing is left to record: the use is recorded, the token was refused, or the result is unknown. */
  #isConcluded = false;

  /** @param deps.onFirstUse is called once, when the token is found to be used for the first time. */
  constructor(mark: TokenMark, deps: { readonly guard: ReplayGuard; readonly onFirstUse: () => void }) {
    this.mark = mark;
    this.#guard = deps.guard;
    this.#onFirstUse = deps.onFirstUse;
  }

  /**
   * Records the use with a statement of its own, unless it is concluded.
   * @returns undefined when there is nothing to wait for.
   * @throws AppError as `refuseReplayedToken`.
   */
  record(): Promise<void> | undefined {
    if (this.#isConcluded) return undefined;
    this.#isConcluded = true;
    return this.#recordAlone();
  }

  async #recordAlone(): Promise<void> {
    await refuseReplayedToken(this.#guard, this.mark);
    this.#onFirstUse();
  }

  /**
   * Takes the result of the transaction that was to record the use.
   * @throws AppError JwtReplayed.
   */
  conclude(result: TokenResult): void {
    this.#isConcluded = result !== 'undecided';
    if (result === 'replayed') throw authError('JwtReplayed');
    if (result === 'first') this.#onFirstUse();
  }

  /** Notes that the transaction failed. A record of the use could then be its own or that of another request. */
  abandon(): void {
    this.#isConcluded = true;
  }
}
