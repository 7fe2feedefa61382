import { beforeEach, describe, expect, test } from 'vitest';
import { clientAddressOf } from '#quota/client-address/client-address.ts';
import type { ClientAddress } from '#quota/client-address/client-address.ts';
import { createBucketNames } from '#quota/stores/keyed-bucket-names.ts';
import { createFailedAuth } from '#quota/failed-authentication/failed-auth.ts';
import type { Ban, FailedAuth, FailedAuthDeps } from '#quota/failed-authentication/failed-auth.ts';
import { createManualClock } from '../support/manual-clock.ts';

const minuteMs = 60_000;
const dayMs = 86_400_000;

let clock: ReturnType<typeof createManualClock>;
let bans: Ban[];
let failedAuth: FailedAuth;

function setUp(options: Partial<FailedAuthDeps> = {}): void {
  clock = createManualClock(1_700_000_000_123);
  bans = [];
  failedAuth = createFailedAuth({ clock, banAfterFailures: 20, onBan: (ban) => void bans.push(ban), ...options });
}
beforeEach(() => setUp());

const clientAt = clientAddressOf;

/** A host in the /64 with number `subnet` in the /48 with number `site`. */
function hostOf(site: number, subnet: number): ClientAddress {
  return clientAt(`2001:db8:${site.toString(16)}:${subnet.toString(16)}:0:0:0:1`);
}

function fail(client: ClientAddress, times: number): void {
  for (let time = 0; time < times; time++) failedAuth.recordFailure(client);
}

function succeed(client: ClientAddress, times: number): void {
  for (let time = 0; time < times; time++) failedAuth.recordSuccess(client);
}

const attacker = clientAt('192.0.2.1');
const neighbour = clientAt('192.0.2.2');

describe('an address', () => {
  test('is banned by the twentieth failure within a minute, for exactly one minute', () => {
    fail(attacker, 19);
    expect(failedAuth.bannedForMs(attacker)).toBe(0);
    fail(attacker, 1);
    expect(failedAuth.bannedForMs(attacker)).toBe(minuteMs);
    expect(failedAuth.bannedForMs(neighbour)).toBe(0);
    clock.advance(minuteMs - 1);
    expect(failedAuth.bannedForMs(attacker)).toBe(1);
    clock.advance(1);
    expect(failedAuth.bannedForMs(attacker)).toBe(0);
    expect(bans).toEqual([{ of: 'address', minutes: 1 }]);
  });

  test('is banned for longer each time while failures continue, up to an hour', () => {
    for (let nth = 0; nth < 9; nth++) {
      fail(attacker, 20);
      clock.advance(failedAuth.bannedForMs(attacker));
    }
    expect(bans.map(({ minutes }) => minutes)).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  });

  test('without failures for an hour after its ban gets a short ban next', () => {
    fail(attacker, 20);
    clock.advance(minuteMs);
    fail(attacker, 20);
    clock.advance(2 * minuteMs + 60 * minuteMs - 1);
    fail(attacker, 20);
    clock.advance(4 * minuteMs + 60 * minuteMs);
    fail(attacker, 20);
    expect(bans.map(({ minutes }) => minutes)).toEqual([1, 2, 4, 1]);
  });

  test('is not banned again for requests that were running when the ban began', () => {
    fail(attacker, 60);
    expect(failedAuth.bannedForMs(attacker)).toBe(minuteMs);
    clock.advance(minuteMs);
    fail(attacker, 19);
    expect(bans).toHaveLength(1);
  });

  test('that fails nineteen times in every minute is never banned', () => {
    for (let second = 0; second < 1_200; second += 3) {
      clock.advance(3_200);
      fail(attacker, 1);
    }
    expect(bans).toEqual([]);
  });

  test('with more successful than failed authentications is not banned', () => {
    succeed(attacker, 30);
    fail(attacker, 30);
    expect(bans).toEqual([]);
    fail(attacker, 1);
    expect(bans).toHaveLength(1);
  });

  test('is protected only by successes of the last minute', () => {
    succeed(attacker, 1_000);
    clock.advance(minuteMs + 2_000);
    fail(attacker, 20);
    expect(bans).toHaveLength(1);
  });

  test.each(['its own names', 'the names of the quotas'])(
    'stays banned over a change of salt of %s, and later bans continue to grow',
    (names) => {
      if (names !== 'its own names') {
        const quotaClock = createManualClock(1_700_000_000_123);
        setUp({ clock: quotaClock, namer: createBucketNames(quotaClock) });
        clock = quotaClock;
      }
      clock.advance(dayMs - (1 + 2 + 4 + 8 + 16 + 32 + 30) * minuteMs);
      for (const minutes of [1, 2, 4, 8, 16, 32]) {
        fail(attacker, 20);
        clock.advance(minutes * minuteMs);
      }
      fail(attacker, 20);
      for (let minute = 0; minute < 45; minute += 5) {
        clock.advance(5 * minuteMs);
        succeed(neighbour, 1);
      }
      expect(failedAuth.bannedForMs(attacker)).toBe(15 * minuteMs);
      clock.advance(15 * minuteMs);
      expect(failedAuth.bannedForMs(attacker)).toBe(0);
      fail(attacker, 20);
      expect(bans.map(({ minutes }) => minutes)).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
    },
  );
});

describe('an IPv6 site', () => {
  test('that fails from one /64 keeps access from its others', () => {
    fail(hostOf(1, 1), 60);
    expect(failedAuth.bannedForMs(hostOf(1, 1))).toBe(minuteMs);
    expect(failedAuth.bannedForMs(hostOf(1, 2))).toBe(0);
  });

  test('that fails from many /64s is banned as a whole after eight times as many failures', () => {
    for (let subnet = 0; subnet < 159; subnet++) fail(hostOf(1, subnet), 1);
    expect(failedAuth.bannedForMs(hostOf(1, 9_999))).toBe(0);
    fail(hostOf(1, 159), 1);
    expect(failedAuth.bannedForMs(hostOf(1, 9_999))).toBe(minuteMs);
    expect(failedAuth.bannedForMs(hostOf(2, 1))).toBe(0);
    expect(bans).toEqual([{ of: 'network', minutes: 1 }]);
  });

  test('with more successful than failed authentications is not banned', () => {
    for (let subnet = 0; subnet < 400; subnet++) succeed(hostOf(1, subnet), 1);
    for (let subnet = 0; subnet < 400; subnet++) fail(hostOf(1, subnet), 1);
    expect(bans).toEqual([]);
  });
});

test('bans can be disabled', () => {
  setUp({ banAfterFailures: 0 });
  fail(attacker, 10_000);
  expect([failedAuth.bannedForMs(attacker), bans.length]).toEqual([0, 0]);
});

test('a flood of prefixes stores no more than the maximum, and the newest bans hold', () => {
  setUp({ banAfterFailures: 1, prefixesMax: 1_000 });
  for (let nth = 0; nth < 100_000; nth++) {
    fail(clientAt(`10.${nth >> 16}.${(nth >> 8) & 255}.${nth & 255}`), 1);
    succeed(clientAt(`11.${nth >> 16}.${(nth >> 8) & 255}.${nth & 255}`), 1);
  }
  const { failing, succeeding, banned } = failedAuth.prefixCounts();
  expect(failing).toBe(0);
  for (const count of [succeeding, banned]) {
    expect(count).toBeGreaterThan(950);
    expect(count).toBeLessThanOrEqual(1_000);
  }
  expect(failedAuth.bannedForMs(clientAt('10.1.134.159'))).toBe(minuteMs);
  setUp({ prefixesMax: 1_000 });
  for (let nth = 0; nth < 100_000; nth++) fail(clientAt(`10.${nth >> 16}.${(nth >> 8) & 255}.${nth & 255}`), 1);
  expect(failedAuth.prefixCounts().failing).toBeLessThanOrEqual(1_000);
});
