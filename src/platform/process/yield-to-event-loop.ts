/**
 * Resolves in the next iteration of the event loop. A long computation awaits this function regularly, so that the
 * process can serve requests meanwhile.
 */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
