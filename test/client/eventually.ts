import { expect } from 'vitest';

/** `expect.poll` with time enough for a machine that is busy with other tests. */
export function eventually<Value>(read: () => Value): ReturnType<typeof expect.poll<Value>> {
  return expect.poll(read, { timeout: 20_000, interval: 25 });
}
