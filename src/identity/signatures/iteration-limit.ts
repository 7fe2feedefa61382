/** Creates a function that returns true at most `callsMax` times in each iteration of the event loop. */
export function createIterationLimit(callsMax: number): () => boolean {
  let calls = 0;
  const reset = (): void => {
    calls = 0;
  };
  return () => {
    if (calls === 0) setImmediate(reset);
    calls += 1;
    return calls <= callsMax;
  };
}
