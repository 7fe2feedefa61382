/** Lets the event loop take its next turn: long computations call it between slices, so that other requests go on. */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
