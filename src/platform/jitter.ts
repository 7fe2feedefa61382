/** A random factor between 0.5 and 1, which spreads retries and timers of many clients or servers. */
export function jitter(): number {
  return 0.5 + Math.random() / 2;
}
