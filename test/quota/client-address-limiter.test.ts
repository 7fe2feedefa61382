import { beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '#platform/config/config.ts';
import { createAddressList } from '#quota/client-address/address-lists.ts';
import { createQuota } from '#quota/table/charge.ts';
import { createClientAddress } from '#quota/client-address/client-address.ts';
import { createClientAddressLimiter } from '#quota/client-address/client-address-limiter.ts';
import type { ClientAddressLimiter, AdmissionResult } from '#quota/client-address/client-address-limiter.ts';
import { createFailedAuth } from '#quota/failed-authentication/failed-auth.ts';
import { createManualClock } from '../support/manual-clock.ts';

let clock: ReturnType<typeof createManualClock>;
let addressLimiter: ClientAddressLimiter;

function setUp(env: Record<string, string> = {}): void {
  const config = readConfig(env);
  clock = createManualClock(1_700_000_000_250);
  addressLimiter = createClientAddressLimiter({
    clock,
    quota: createQuota({ config, clock }),
    failedAuth: createFailedAuth({ clock, banAfterFailures: config.AUTH_BAN_AFTER_FAILURES }),
    clientOf: createClientAddress({ cidrs: [], hops: 1, header: 'X-Forwarded-For' }),
    isAllowed: createAddressList(config.CLIENT_ALLOW_CIDRS, 'CLIENT_ALLOW_CIDRS'),
    isDenied: createAddressList(config.CLIENT_DENY_CIDRS, 'CLIENT_DENY_CIDRS'),
  });
}
beforeEach(() => setUp());

function request(peer: string): AdmissionResult {
  return addressLimiter.admit({ peer, header: () => undefined });
}

/** The number of admitted requests, sent in order; a second passes after every `perSecond`. */
function admitted(peers: readonly string[], perSecond: number): number {
  let count = 0;
  for (const [nth, peer] of peers.entries()) {
    if (nth % perSecond === perSecond - 1) clock.advance(1_000);
    if (request(peer).outcome === 'admitted') count += 1;
  }
  return count;
}

function failAuthentication(peer: string): string {
  const result = request(peer);
  if (result.outcome !== 'admitted') return 'refused';
  return addressLimiter.countFailure(result.addressCharge)?.allowed === true ? 'counted' : 'limited';
}

function authenticate(peer: string): string {
  const result = request(peer);
  if (result.outcome === 'admitted') addressLimiter.refund(result.addressCharge);
  return result.outcome;
}

describe('IPv6 addresses', () => {
  test('ten thousand of one /64 get no more than one client', () => {
    const one = admitted(
      Array.from({ length: 10_000 }, () => '192.0.2.1'),
      170,
    );
    setUp();
    const hosts = Array.from(
      { length: 10_000 },
      (_, host) => `2001:db8:1:2:${host.toString(16)}::${host.toString(16)}`,
    );
    const many = admitted(hosts, 170);
    expect(one).toBe(60);
    expect(many).toBeLessThanOrEqual(1.1 * one);
    expect(many).toBeGreaterThanOrEqual(one * 0.9);
  });

  test('256 /64s of one /48 get no more than eight clients, and the refusal names the limit of the network', () => {
    const hosts = Array.from({ length: 10_240 }, (_, nth) => `2001:db8:1:${(nth % 256).toString(16)}::1`);
    const count = admitted(hosts, 174);
    expect(count).toBeLessThanOrEqual(8 * 60);
    expect(count).toBeGreaterThan(7 * 60);
    expect(request('2001:db8:1:ffff::1')).toMatchObject({
      outcome: 'limited',
      decision: { name: 'network', limit: 480 },
    });
    expect(request('2001:db8:2::1').outcome).toBe('admitted');
  });

  test('of one /64 that has reached its own limit get a refusal that names that limit', () => {
    admitted(
      Array.from({ length: 20 }, () => '2001:db8:1:2::1'),
      1_000,
    );
    expect(request('2001:db8:1:2::9')).toMatchObject({ outcome: 'limited', decision: { name: 'address' } });
    expect(request('2001:db8:1:3::1').outcome).toBe('admitted');
  });

  test('cost their /64 nothing when the /48 has no room', () => {
    setUp({ RATE_LIMIT_IP_NETWORK_PER_MINUTE: '60', RATE_LIMIT_IP_NETWORK_BURST: '1' });
    request('2001:db8:1:1::1');
    for (let nth = 0; nth < 30; nth++) {
      expect(request('2001:db8:1:2::1')).toMatchObject({ outcome: 'limited', decision: { name: 'network' } });
    }
    clock.advance(1_000);
    expect(request('2001:db8:1:2::1').outcome).toBe('admitted');
  });

  test('with authenticated users use up neither limit', () => {
    for (let nth = 0; nth < 1_000; nth++)
      expect(authenticate(`2001:db8:1:${(nth % 4).toString(16)}::1`)).toBe('admitted');
    expect(
      admitted(
        Array.from({ length: 160 }, (_, nth) => `2001:db8:1:${nth.toString(16)}::1`),
        1_000,
      ),
    ).toBe(160);
  });
});

describe('failed authentications', () => {
  test('are counted ten times a minute; then the response is the refusal of the limit', () => {
    const results: string[] = [];
    for (let nth = 0; nth < 12; nth++) results.push(failAuthentication('192.0.2.1'));
    expect(results).toEqual([...Array.from({ length: 10 }, () => 'counted'), 'limited', 'limited']);
    const result = request('192.0.2.1');
    expect(result.outcome).toBe('admitted');
    if (result.outcome === 'admitted') {
      expect(addressLimiter.countFailure(result.addressCharge)).toMatchObject({
        allowed: false,
        name: 'failedAuth',
        limit: 10,
      });
    }
  });

  test('end in a ban for exactly the time in Retry-After', () => {
    for (let nth = 0; nth < 20; nth++) failAuthentication('192.0.2.1');
    for (const minutes of [1, 2, 4]) {
      const result = request('192.0.2.1');
      expect(result).toMatchObject({
        outcome: 'limited',
        decision: { name: 'failedAuth', remaining: 0, retryAfterSeconds: minutes * 60 },
      });
      clock.advance(minutes * 60_000 - 1_000);
      expect(request('192.0.2.1')).toMatchObject({ outcome: 'limited', decision: { retryAfterSeconds: 1 } });
      clock.advance(1_000);
      for (let nth = 0; nth < 20; nth++) expect(failAuthentication('192.0.2.1')).not.toBe('refused');
    }
  });

  test('do not ban an address from which at least as many requests are authenticated', () => {
    for (let nth = 0; nth < 200; nth++) {
      clock.advance(2_000);
      authenticate('192.0.2.1');
      expect(failAuthentication('192.0.2.1')).not.toBe('refused');
      expect(authenticate('192.0.2.1')).toBe('admitted');
    }
  });

  test('do not affect the next /64', () => {
    for (let nth = 0; nth < 30; nth++) failAuthentication('2001:db8:1:1::1');
    expect(request('2001:db8:1:1::2').outcome).toBe('limited');
    expect(request('2001:db8:1:2::1').outcome).toBe('admitted');
  });
});

describe('a connection', () => {
  test('of a client has its address without another look, and one of a proxy has a client for each request', () => {
    const clientOf = createClientAddress({ cidrs: ['10.0.0.0/8'], hops: 1, header: 'X-Real-IP' });
    const [direct, proxied] = [{}, {}];
    const own = clientOf({ connection: direct, peer: '192.0.2.1', header: () => undefined });
    expect(clientOf({ connection: direct, peer: '192.0.2.1', header: () => ['192.0.2.9'] })).toBe(own);
    for (const address of ['198.51.100.1', '198.51.100.2']) {
      expect(clientOf({ connection: proxied, peer: '10.0.0.1', header: () => [address] })?.address).toBe(address);
    }
    expect([direct, proxied]).toEqual([{}, {}]);
  });
});

describe('lists', () => {
  test('an allowed address is neither counted nor banned', () => {
    setUp({ CLIENT_ALLOW_CIDRS: '192.0.2.0/24,2001:db8:1::/48' });
    for (let nth = 0; nth < 300; nth++) {
      expect(request('192.0.2.7')).toMatchObject({ outcome: 'admitted', decision: undefined });
      expect(failAuthentication('2001:db8:1:2::1')).toBe('limited');
      authenticate('2001:db8:1:2::1');
    }
    expect(
      admitted(
        Array.from({ length: 30 }, () => '192.0.3.7'),
        1_000,
      ),
    ).toBe(20);
  });

  test('a denied address is refused, also when it is allowed', () => {
    setUp({ CLIENT_ALLOW_CIDRS: '0.0.0.0/0', CLIENT_DENY_CIDRS: '198.51.100.0/24,::/0' });
    expect(request('198.51.100.3').outcome).toBe('unwanted');
    expect(request('::ffff:198.51.100.3').outcome).toBe('unwanted');
    expect(request('2001:db8::1').outcome).toBe('unwanted');
    expect(request('198.51.101.3').outcome).toBe('admitted');
  });
});
