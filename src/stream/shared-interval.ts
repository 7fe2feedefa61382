import type { Clock } from '#platform/clock.ts';

/** Each tick runs the tasks of one slot, so that not all tasks run at once. */
const tickMs = 5_000;

/** Runs each task once per interval, with one timer for all tasks. The timer runs only while there are tasks. */
export class SharedInterval {
  readonly #clock: Clock;
  readonly #slots: readonly Set<() => void>[];
  #size = 0;
  #current = 0;
  #isRunning = false;

  /** @param intervalMs a multiple of 5,000. */
  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.#slots = Array.from({ length: intervalMs / tickMs }, () => new Set<() => void>());
  }

  /**
   * Runs `task` once per interval, for the first time up to five seconds before the first interval is over.
   * @returns a function that stops it.
   */
  add(task: () => void): () => void {
    const slot = this.#slots[this.#current];
    slot?.add(task);
    this.#size += 1;
    if (!this.#isRunning) void this.#run();
    return () => {
      if (slot?.delete(task) === true) this.#size -= 1;
    };
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#size > 0) {
      await this.#clock.sleep(tickMs);
      this.#current = (this.#current + 1) % this.#slots.length;
      for (const task of this.#slots[this.#current] ?? []) task();
    }
    this.#isRunning = false;
  }
}
