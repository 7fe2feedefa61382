/** A factor between 0.5 and 1, so that what many wait for does not happen to all of them at once. */
export function jitter(): number {
  return 0.5 + Math.random() / 2;
}
