import { beforeEach, describe, expect, test } from 'vitest';
import type { ClientAddress } from '#quota/client-address/client-address.ts';
import { createFailedAuth } from '#quota/failed-authentication/failed-auth.ts';
import type { Ban, FailedAuth, FailedAuthDeps } from '#quota/failed-authentication/failed-auth.ts';
import { hostPrefixOf, networkOf } from '#quota/client-address/ip-address.ts';
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

function clientAt(address: string): ClientAddress {
  return { address, prefix: hostPrefixOf(address), network: networkOf(address) };
}

/** In the /64 with this number of the /48 `site`. */
function hostOf(site: number, subnet: number): ClientAddress {
  return clientAt(`2001:db8:${site.toString(16)}:${subnet.toString(16)}:0:0:0:1`);
}

function fail(client: ClientAddress, times: number): void {
  for (let time = 0; time < times; time++) failedAuth.noteFailure(client);
}

function succeed(client: ClientAddress, times: number): void {
  for (let time = 0; time < times; time++) failedAuth.noteSuccess(client);
}

const guesser = clientAt('192.0.2.1');
const neighbour = clientAt('192.0.2.2');

describe('an address', () => {
  test('is banned by the twentieth failure within a minute, to the millisecond for as long as it is told', () => {
    fail(guesser, 19);
    expect(failedAuth.bannedForMs(guesser)).toBe(0);
    fail(guesser, 1);
    expect(failedAuth.bannedForMs(guesser)).toBe(minuteMs);
    expect(failedAuth.bannedForMs(neighbour)).toBe(0);
    clock.advance(minuteMs - 1);
    expect(failedAuth.bannedForMs(guesser)).toBe(1);
    clock.advance(1);
    expect(failedAuth.bannedForMs(guesser)).toBe(0);
    expect(bans).toEqual([{ of: 'address', minutes: 1 }]);
  });

  test('is banned for longer each time while it goes on, up to an hour', () => {
    for (let nth = 0; nth < 9; nth++) {
      fail(guesser, 20);
      clock.advance(failedAuth.bannedForMs(guesser));
    }
    expect(bans.map(({ minutes }) => minutes)).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  });

  test('that was quiet for an hour after its ban begins anew', () => {
    fail(guesser, 20);
    clock.advance(minuteMs);
    fail(guesser, 20);
    clock.advance(2 * minuteMs + 60 * minuteMs - 1);
    fail(guesser, 20);
    clock.advance(4 * minuteMs + 60 * minuteMs);
    fail(guesser, 20);
    expect(bans.map(({ minutes }) => minutes)).toEqual([1, 2, 4, 1]);
  });

  test('whose requests were under way when the ban began is not banned for those again', () => {
    fail(guesser, 60);
    expect(failedAuth.bannedForMs(guesser)).toBe(minuteMs);
    clock.advance(minuteMs);
    fail(guesser, 19);
    expect(bans).toHaveLength(1);
  });

  test('that fails nineteen times in every minute is never banned', () => {
    for (let second = 0; second < 1_200; second += 3) {
      clock.advance(3_200);
      fail(guesser, 1);
    }
    expect(bans).toEqual([]);
  });

  test('from which more people prove who they are than fail is not banned for one who guesses', () => {
    succeed(guesser, 30);
    fail(guesser, 30);
    expect(bans).toEqual([]);
    fail(guesser, 1);
    expect(bans).toHaveLength(1);
  });

  test('lives on successes of the last minute only', () => {
    succeed(guesser, 1_000);
    clock.advance(minuteMs + 2_000);
    fail(guesser, 20);
    expect(bans).toHaveLength(1);
  });

  test('stays banned over the change of salt, and is remembered after it', () => {
    clock.advance(dayMs - (1 + 2 + 4 + 8 + 16 + 32 + 30) * minuteMs);
    for (const minutes of [1, 2, 4, 8, 16, 32]) {
      fail(guesser, 20);
      clock.advance(minutes * minuteMs);
    }
    fail(guesser, 20);
    for (let minute = 0; minute < 45; minute += 5) {
      clock.advance(5 * minuteMs);
      succeed(neighbour, 1);
    }
    expect(failedAuth.bannedForMs(guesser)).toBe(15 * minuteMs);
    clock.advance(15 * minuteMs);
    expect(failedAuth.bannedForMs(guesser)).toBe(0);
    fail(guesser, 20);
    expect(bans.map(({ minutes }) => minutes)).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
  });
});

describe('an IPv6 site', () => {
  test('that fails from one /64 keeps its others', () => {
    fail(hostOf(1, 1), 60);
    expect(failedAuth.bannedForMs(hostOf(1, 1))).toBe(minuteMs);
    expect(failedAuth.bannedForMs(hostOf(1, 2))).toBe(0);
  });

  test('that goes from /64 to /64 is banned as a whole after eight times as many failures', () => {
    for (let subnet = 0; subnet < 159; subnet++) fail(hostOf(1, subnet), 1);
    expect(failedAuth.bannedForMs(hostOf(1, 9_999))).toBe(0);
    fail(hostOf(1, 159), 1);
    expect(failedAuth.bannedForMs(hostOf(1, 9_999))).toBe(minuteMs);
    expect(failedAuth.bannedForMs(hostOf(2, 1))).toBe(0);
    expect(bans).toEqual([{ of: 'network', minutes: 1 }]);
  });

  test('in which more people prove who they are is not', () => {
    for (let subnet = 0; subnet < 400; subnet++) succeed(hostOf(1, subnet), 1);
    for (let subnet = 0; subnet < 400; subnet++) fail(hostOf(1, subnet), 1);
    expect(bans).toEqual([]);
  });
});

test('bans can be switched off', () => {
  setUp({ banAfterFailures: 0 });
  fail(guesser, 10_000);
  expect([failedAuth.bannedForMs(guesser), bans.length]).toEqual([0, 0]);
});

test('a flood of prefixes leaves no more than so many behind, and the newest bans hold', () => {
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
