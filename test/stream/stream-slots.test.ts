import { expect, test } from 'vitest';
import { createStreamSlots } from '#stream/stream-slots.ts';
import type { StreamSlots } from '#stream/stream-slots.ts';
import { createManualClock } from '../support/manual-clock.ts';

const alice = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const bob = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb';

function setUp(): { places: StreamSlots; clock: ReturnType<typeof createManualClock> } {
  const clock = createManualClock(1_000);
  return { places: createStreamSlots({ clock, perAccountMax: 2 }), clock };
}

test('an account has as many places as it may, apart from those of others, and each that is released is free again', () => {
  const { places } = setUp();
  const first = places.take(alice);
  places.take(alice);
  expect(() => places.take(alice)).toThrow(expect.objectContaining({ code: 'TooManyConnections' }));
  expect(() => places.take(bob)).not.toThrow();
  first.release();
  first.release();
  expect(() => places.take(alice)).not.toThrow();
  expect(() => places.take(alice)).toThrow(expect.objectContaining({ code: 'TooManyConnections' }));
});

test('a place that is held stays taken; one whose stream never opens is free after half a minute', () => {
  const { places, clock } = setUp();
  expect(places.take(alice).hold()).toBe(true);
  places.take(alice);
  clock.advance(29_999);
  expect(() => places.take(alice)).toThrow(expect.objectContaining({ code: 'TooManyConnections' }));
  clock.advance(1);
  expect(places.take(alice).hold()).toBe(true);
  clock.advance(3_600_000);
  expect(() => places.take(alice)).toThrow(expect.objectContaining({ code: 'TooManyConnections' }));
});

test('a stream that opens too late goes without a place if others have taken it', () => {
  const { places, clock } = setUp();
  const [late, later] = [places.take(alice), places.take(alice)];
  clock.advance(30_000);
  places.take(alice);
  expect(late.hold()).toBe(true);
  expect(later.hold()).toBe(false);
});

test('handshakes that nobody finishes leave nothing behind, whoever began them', () => {
  const { places, clock } = setUp();
  for (let nth = 0; nth < 1_000; nth++) places.take(`did:plc:${nth}`);
  expect(places.size).toBe(1_000);
  clock.advance(30_000);
  places.take(bob);
  expect(places.size).toBe(1);
});
