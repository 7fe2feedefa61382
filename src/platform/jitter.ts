/** Returns a random factor from 0.5 to 1, which spreads the retries and timers of many clients or servers over time. */
export function jitter(): number {
  return 0.5 + Math.random() / 2;
}
