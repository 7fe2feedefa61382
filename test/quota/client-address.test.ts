import { describe, expect, test } from 'vitest';
import { createClientAddress } from '#quota/client-address/client-address.ts';
import type { AddressEvidence } from '#quota/client-address/client-address.ts';

const proxy = '10.0.0.1';
const header = 'X-Forwarded-For';
const cidrs = ['10.0.0.0/8', 'fd00::/8'];
const direct = createClientAddress({ cidrs: [], hops: 1, header });
const behindOne = createClientAddress({ cidrs, hops: 1, header });
const behindTwo = createClientAddress({ cidrs, hops: 2, header });
const behindRealIp = createClientAddress({ cidrs, hops: 1, header: 'X-Real-IP' });

function evidence(peer: string | undefined, ...forwardedFor: string[]): AddressEvidence {
  return { peer, header: (name) => (name === 'x-forwarded-for' && forwardedFor.length > 0 ? forwardedFor : undefined) };
}

function realIp(peer: string, ...values: string[]): AddressEvidence {
  return { peer, header: (name) => (name === 'x-real-ip' ? values : ['192.0.2.66']) };
}

const spoofs = [
  '1.2.3.4',
  '1.2.3.4, 5.6.7.8',
  '127.0.0.1',
  '10.0.0.1',
  '10.0.0.1, 10.0.0.2',
  '::1',
  '::ffff:127.0.0.1',
  'unknown',
  '',
  ' ',
  ',',
  ',,,,',
  '1.2.3.4:80',
  '[::1]:80',
  'for=1.2.3.4',
  '"1.2.3.4"',
  '0x7f.1',
  '0177.0.0.1',
  '2130706433',
  '1.2.3',
  '1.2.3.4.5',
  '%00',
  '\u0000',
  '\t1.2.3.4',
  '１.2.3.4',
  'localhost',
  'fe80::1%eth0',
  'fd00::1',
  '1.2.3.4;5.6.7.8',
  '203.0.113.9',
  'a'.repeat(1_000),
  '1.2.3.4,'.repeat(200),
];

/** Texts that are not exactly one address. */
const notAddresses = [
  '',
  ' ',
  'unknown',
  '_hidden',
  '1.2.3.4:80',
  '[::1]',
  '[::1]:80',
  'for=1.2.3.4',
  '"1.2.3.4"',
  '1.2.3.4 5.6.7.8',
  '1.2.3.4;',
  '0x7f.1',
  '0177.0.0.1',
  '01.2.3.4',
  '1.2.3.04',
  '2130706433',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.256',
  '１.2.3.4',
  '1。2。3。4',
  '1.2.3.4\u0000',
  '\u00a01.2.3.4',
  '\u20281.2.3.4',
  'fe80::1%eth0',
  'fe80::1%25eth0',
  '1.2.3.4%1',
  ':::',
  '1::2::3',
  '::1.2.3.04',
  '::ffff:1.2.3.4:80',
  '1.2.3.4/32',
  'localhost',
];

describe('without a trusted proxy', () => {
  test.each(spoofs)('the header %j changes nothing', (forwardedFor) => {
    expect(direct(evidence('203.0.113.9', forwardedFor))?.prefix.text).toBe('203.0.113.9');
    expect(behindOne(evidence('203.0.113.9', forwardedFor))?.prefix.text).toBe('203.0.113.9');
  });

  test('no header is read', () => {
    const never = (): never => {
      throw new Error('a header was read');
    };
    expect(behindOne({ peer: '203.0.113.9', header: never })?.prefix.text).toBe('203.0.113.9');
  });
});

describe('behind a trusted proxy', () => {
  test.each(spoofs)('an entry %j that the client wrote before the entry of the proxy changes nothing', (written) => {
    expect(behindOne(evidence(proxy, `${written}, 203.0.113.9`))?.prefix.text).toBe('203.0.113.9');
  });

  test.each(spoofs.filter((spoof) => !/^(10[.]|fd)/.test(spoof)))(
    'an entry %j that the client wrote changes nothing behind two proxies',
    (written) => {
      expect(behindTwo(evidence(proxy, `${written}, 203.0.113.9, 10.0.0.2`))?.prefix.text).toBe('203.0.113.9');
      expect(behindTwo(evidence(proxy, `${written}, 203.0.113.9`))?.prefix.text).toBe('203.0.113.9');
    },
  );

  test.each(notAddresses)(
    'a request is refused, not charged to the proxy, when the last entry %j is not an address',
    (end) => {
      expect(behindOne(evidence(proxy, end))).toBeUndefined();
      expect(behindOne(evidence(proxy, `203.0.113.9, ${end}`))).toBeUndefined();
      expect(behindTwo(evidence(proxy, `${end}, 10.0.0.2`))).toBeUndefined();
    },
  );

  test('a request whose header is missing, sent twice or too long is refused', () => {
    expect(behindOne(evidence(proxy))).toBeUndefined();
    expect(behindOne(evidence(proxy, '203.0.113.9', '203.0.113.9'))).toBeUndefined();
    expect(behindOne(evidence(proxy, `${'1.2.3.4,'.repeat(300)}203.0.113.9`))).toBeUndefined();
  });

  test('spaces and tabs around an entry are ignored', () => {
    expect(behindOne(evidence(proxy, '1.2.3.4,\t 203.0.113.9 \t'))?.prefix.text).toBe('203.0.113.9');
  });

  test('no more entries are read than there are proxies', () => {
    expect(behindOne(evidence(proxy, '203.0.113.9, 10.0.0.2'))?.prefix.text).toBe('10.0.0.2');
    expect(behindTwo(evidence(proxy, '203.0.113.9, 10.0.0.3, 10.0.0.2'))?.prefix.text).toBe('10.0.0.3');
  });

  test('a machine inside the trusted networks may be the client', () => {
    expect(behindTwo(evidence(proxy, '10.0.0.7'))?.prefix.text).toBe('10.0.0.7');
  });

  test('the proxy is identified in every spelling of its address', () => {
    for (const peer of ['::ffff:10.0.0.1', '::ffff:a00:1', 'fd00::1', 'fd00:0:0::0001']) {
      expect(behindOne(evidence(peer, '203.0.113.9'))?.prefix.text).toBe('203.0.113.9');
    }
  });

  test('IPv6 networks trust no IPv4 address, and networks of mapped addresses trust the IPv4 addresses in them', () => {
    const all6 = createClientAddress({ cidrs: ['::/0'], hops: 1, header });
    expect(all6(evidence('198.51.100.1', '203.0.113.9'))?.prefix.text).toBe('198.51.100.1');
    const mapped = createClientAddress({ cidrs: ['::ffff:10.0.0.0/104'], hops: 1, header });
    expect(mapped(evidence(proxy, '203.0.113.9'))?.prefix.text).toBe('203.0.113.9');
    expect(mapped(evidence('11.0.0.1', '203.0.113.9'))?.prefix.text).toBe('11.0.0.1');
  });
});

describe('behind a proxy that names the client in another header', () => {
  test('only that header is read', () => {
    expect(behindRealIp(realIp(proxy, '203.0.113.9'))?.prefix.text).toBe('203.0.113.9');
    expect(behindRealIp(realIp(proxy, ' 2001:DB8::1 '))?.prefix.text).toBe('2001:db8:0:0::/64');
    expect(behindRealIp(realIp('198.51.100.1', '203.0.113.9'))?.prefix.text).toBe('198.51.100.1');
  });

  test.each([...notAddresses, '1.2.3.4, 203.0.113.9', '203.0.113.9,', ',203.0.113.9'])(
    'a value that is not exactly one address, %j, is refused',
    (value) => {
      expect(behindRealIp(realIp(proxy, value))).toBeUndefined();
    },
  );

  test('a request whose header is missing or sent twice is refused', () => {
    expect(behindRealIp(evidence(proxy, '203.0.113.9'))).toBeUndefined();
    expect(behindRealIp(realIp(proxy, '203.0.113.9', '203.0.113.9'))).toBeUndefined();
  });
});

describe('addresses', () => {
  test('of one IPv6 subscriber count as one', () => {
    const counted = new Set(
      Array.from(
        { length: 1_000 },
        (_, host) => direct(evidence(`2001:db8:1:2:${host.toString(16)}::${host}`))?.prefix.text,
      ),
    );
    expect([...counted]).toEqual(['2001:db8:1:2::/64']);
  });

  test('of two subscribers of one site count separately, and together for the site', () => {
    const [one, two] = ['2001:db8:1:2::1', '2001:db8:1:3::1'].map((peer) => direct(evidence(peer)));
    expect(one?.prefix.text).not.toBe(two?.prefix.text);
    expect([one?.network?.text, two?.network?.text]).toEqual(['2001:db8:1::/48', '2001:db8:1::/48']);
    expect(direct(evidence('2001:db8:2:2::1'))?.network?.text).toBe('2001:db8:2::/48');
    expect(direct(evidence('203.0.113.9'))?.network?.text).toBeUndefined();
  });

  test.each([
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['::FFFF:cb00:7109', '203.0.113.9'],
    ['0:0:0:0:0:ffff:203.0.113.9', '203.0.113.9'],
    ['::', '0:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['2001:DB8::', '2001:db8:0:0::/64'],
    ['2001:db8:0:0:1::', '2001:db8:0:0::/64'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4::/64'],
    ['1:2:3:4:5:6:192.0.2.1', '1:2:3:4::/64'],
  ])('%s counts as %s, at the connection and in the header', (peer, counted) => {
    expect(direct(evidence(peer))?.prefix.text).toBe(counted);
    expect(behindOne(evidence(proxy, peer))?.prefix.text).toBe(counted);
  });

  test('of a link count without the zone', () => {
    expect(direct(evidence('fe80::1%eth0'))?.prefix.text).toBe('fe80:0:0:0::/64');
  });

  test('a closed connection has none', () => {
    expect(direct(evidence(undefined, '1.2.3.4'))).toBeUndefined();
  });
});

test.each([
  '10.0.0.0/33',
  'fd00::/129',
  '10.0.0.0/',
  '10.0.0.0/8/8',
  'all',
  '',
  '10.0.0.0/-1',
  '10.0.0.0/8x',
  '::1%lo',
])('the network %j is refused at the start', (cidr) => {
  expect(() => createClientAddress({ cidrs: [cidr], hops: 1, header })).toThrow(TypeError);
});
