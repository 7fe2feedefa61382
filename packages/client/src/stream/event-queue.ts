/** A queue between a socket, which cannot be paused in browsers, and a reader. */
export interface EventQueue<Value> extends AsyncIterable<Value> {
  readonly length: number;
  push(value: Value): void;
  /** Ends the queue: the reader gets what is in it, then the error if there is one. */
  end(error?: unknown): void;
}

/** An unbounded queue for one reader; its owner stops pushing when `length` is too large. */
export function createEventQueue<Value>(): EventQueue<Value> {
  const values: Value[] = [];
  let ended: { readonly error: unknown } | undefined;
  let wake: (() => void) | undefined;
  const changed = (): void => {
    wake?.();
    wake = undefined;
  };
  return {
    get length() {
      return values.length;
    },
    push(value) {
      if (ended !== undefined) return;
      values.push(value);
      changed();
    },
    end(error) {
      ended ??= { error };
      changed();
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        for (let value = values.shift(); value !== undefined; value = values.shift()) yield value;
        if (ended !== undefined) {
          if (ended.error !== undefined) throw ended.error;
          return;
        }
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
}
