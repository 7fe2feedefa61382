/** A queue between a socket, which cannot be paused in browsers, and a reader. */
export interface EventQueue<Value> extends AsyncIterable<Value> {
  readonly length: number;
  /** Sum of the sizes of the values in it. */
  readonly sizeBytes: number;
  push(value: Value, sizeBytes: number): void;
  /** Ends the queue: the reader gets what is in it, then the error if there is one. */
  end(error?: unknown): void;
}

/** An unbounded queue for one reader; its owner stops pushing when it is too large. */
export function createEventQueue<Value>(): EventQueue<Value> {
  const entries: { readonly value: Value; readonly sizeBytes: number }[] = [];
  let total = 0;
  let ended: { readonly error: unknown } | undefined;
  let wake: (() => void) | undefined;
  const changed = (): void => {
    wake?.();
    wake = undefined;
  };
  return {
    get length() {
      return entries.length;
    },
    get sizeBytes() {
      return total;
    },
    push(value, sizeBytes) {
      if (ended !== undefined) return;
      entries.push({ value, sizeBytes });
      total += sizeBytes;
      changed();
    },
    end(error) {
      ended ??= { error };
      changed();
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        for (let entry = entries.shift(); entry !== undefined; entry = entries.shift()) {
          total -= entry.sizeBytes;
          yield entry.value;
        }
        if (ended !== undefined) {
          if (ended.error !== undefined) throw ended.error;
          return;
        }
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
}
