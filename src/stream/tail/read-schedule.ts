import type { Clock } from '#platform/clock.ts';

/** Milliseconds between the starts of two reads, so that one read answers many notifications. */
const readIntervalMs = 3;
/** Interval of reads while no event is known to be missing, which finds events whose notification was lost. */
const slowPollMs = 500;
/**
 * Milliseconds from the discovery of a gap in the positions to the first read because of it. Usually the gap closes
 * before, because the transaction that has the position commits and its server reports it.
 */
const gapWaitMs = 5;
/**
 * Interval of further reads while a gap stays, because a rollback sends no notification. The locks of writers are read
 * at most this often.
 */
const gapPollMs = 25;

/** What a read of the log has shown. */
export interface ReadResult {
  /** Whether more events can be read at once. */
  readonly isFull: boolean;
  /** Whether later positions have been taken. */
  readonly isHeld: boolean;
  /** The last position that was taken before the read ended. */
  readonly takenUpTo: number;
  /** The last position whose events have been delivered. */
  readonly seen: number;
}

/** Decides when the tail reads the log, and which reads check whether a gap in the positions will stay empty. */
export class ReadSchedule {
  readonly #clock: Clock;
  #isDue = true;
  #startedMs = -Infinity;
  #passedMs = -Infinity;
  /** The gap that delays events, which comes after the position `seen`. */
  #gap: { readonly seen: number; readonly sinceMs: number; wasRead: boolean } | undefined;
  /** Events up to this position may have been reported already, so that no further notification reports them. */
  #reportedUpTo = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Requests a read, because an event was written. */
  readNow(): void {
    this.#isDue = true;
  }

  /**
   * Returns the milliseconds until the next read, or 0 if it is due.
   * @param now.hasGap whether an event with a later position than the next one is known.
   */
  waitMs(now: { readonly seen: number; readonly hasGap: boolean }): number {
    const nowMs = this.#clock.monotonicMs();
    if (!now.hasGap && now.seen >= this.#reportedUpTo) this.#gap = undefined;
    else if (this.#gap?.seen !== now.seen) this.#gap = { seen: now.seen, sinceMs: nowMs, wasRead: false };
    const dueMs = Math.max(this.#startedMs + readIntervalMs, this.#isDue ? 0 : this.#nextPollMs());
    return Math.max(0, dueMs - nowMs);
  }

  /** Starts a read. @returns `pass` if it should check whether the gap stays empty, which reads locks. */
  startRead(): 'pass' | 'await' {
    const nowMs = this.#clock.monotonicMs();
    this.#isDue = false;
    this.#startedMs = nowMs;
    const isOldGap = this.#gap !== undefined && nowMs - this.#gap.sinceMs >= gapWaitMs;
    if (!isOldGap || nowMs - this.#passedMs < gapPollMs) return 'await';
    this.#passedMs = nowMs;
    return 'pass';
  }

  endRead({ isFull, isHeld, takenUpTo, seen }: ReadResult): void {
    this.#isDue ||= isFull;
    this.#reportedUpTo = isHeld ? takenUpTo : seen;
    if (this.#gap?.seen === seen) this.#gap.wasRead = true;
  }

  #nextPollMs(): number {
    if (this.#gap === undefined) return this.#startedMs + slowPollMs;
    return this.#gap.wasRead ? this.#startedMs + gapPollMs : this.#gap.sinceMs + gapWaitMs;
  }
}
