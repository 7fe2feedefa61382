import { expect, test } from 'vitest';
import { createStreamSlots } from '#stream/stream-slots.ts';
import type { StreamSlots } from '#stream/stream-slots.ts';
import { createManualClock } from '../support/manual-clock.ts';

const alice = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const bob = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb';

function setUp(): { slots: StreamSlots; clock: ReturnType<typeof createManualClock> } {
  const clock = createManualClock(1_000);
  return { slots: createStreamSlots({ clock, perAccountMax: 2 }), clock };
}

test('each account has a limited number of slots, independent of other accounts, and a released slot is free again', () => {
  const { slots } = setUp();
  const first = slots.take(alice);
  slots.take(alice);
  expect(() => slots.take(alice)).toThrow(expect.objectContaining({ code: 'TooManyConnections' }));
  expect(() => slots.take(bob)).not.toThrow();
  first.release();
  first.release();
  expect(() => slots.take(alice)).not.toThrow();
  expect(() => slots.take(alice)).toThrow(expect.objectContaining({ code: 'TooManyConnections' }));
});

test('a kept slot stays taken, and the slot of a stream that does not open is free after 30 seconds', () => {
  const { slots, clock } = setUp();
  expect(slots.take(alice).keep()).toBe(true);
  slots.take(alice);
  clock.advance(29_999);
  expect(() => slots.take(alice)).toThrow(expect.objectContaining({ code: 'TooManyConnections' }));
  clock.advance(1);
  expect(slots.take(alice).keep()).toBe(true);
  clock.advance(3_600_000);
  expect(() => slots.take(alice)).toThrow(expect.objectContaining({ code: 'TooManyConnections' }));
});

test('a stream that opens after 30 seconds has no slot if other streams have taken it', () => {
  const { slots, clock } = setUp();
  const [late, later] = [slots.take(alice), slots.take(alice)];
  clock.advance(30_000);
  slots.take(alice);
  expect(late.keep()).toBe(true);
  expect(later.keep()).toBe(false);
});

test('the slots of unfinished handshakes of all accounts are removed from memory', () => {
  const { slots, clock } = setUp();
  for (let nth = 0; nth < 1_000; nth++) slots.take(`did:plc:${nth}`);
  expect(slots.size).toBe(1_000);
  clock.advance(30_000);
  slots.take(bob);
  expect(slots.size).toBe(1);
});
