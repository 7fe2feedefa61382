import type { TokenMark, TokenResult } from '#storage/rows/replay-entries.ts';

/**
 * The use of the caller's token, which is not recorded yet. An operation records it in the transaction of its writes
 * with `mark` and `conclude`, or before its first effect with `record`.
 */
export interface TokenUse {
  readonly mark: TokenMark;
  /**
   * Records the use with a statement of its own, unless it is recorded.
   * @returns undefined when there is nothing to wait for.
   * @throws AppError when the token may not be used.
   */
  record(): Promise<void> | undefined;
  /**
   * Takes the result of the transaction that was to record `mark`. After `undecided`, call `record`.
   * @throws AppError when the token was used before.
   */
  conclude(result: TokenResult): void;
  /** Notes that the transaction failed, so that it is unknown whether the use is recorded. */
  abandon(): void;
}
