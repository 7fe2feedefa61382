/**
 * Resolves in the next iteration of the event loop. Long computations await it between slices, so that other requests
 * proceed.
 */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
