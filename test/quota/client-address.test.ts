import { describe, expect, test } from 'vitest';
import { createClientAddress } from '#quota/client-address.ts';

const proxy = '10.0.0.1';
const direct = createClientAddress({ cidrs: [], hops: 1 });
const behindOne = createClientAddress({ cidrs: ['10.0.0.0/8', 'fd00::/8'], hops: 1 });
const behindTwo = createClientAddress({ cidrs: ['10.0.0.0/8', 'fd00::/8'], hops: 2 });

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
  'a'.repeat(10_000),
  '1.2.3.4,'.repeat(2_000),
];

describe('without a trusted proxy', () => {
  test.each(spoofs)('the header %j changes nothing', (forwardedFor) => {
    expect(direct({ peer: '203.0.113.9', forwardedFor })).toBe('203.0.113.9');
    expect(behindOne({ peer: '203.0.113.9', forwardedFor })).toBe('203.0.113.9');
  });
});

describe('behind a trusted proxy', () => {
  test.each(spoofs)("what the client wrote before the proxy's own entry, %j, changes nothing", (written) => {
    expect(behindOne({ peer: proxy, forwardedFor: `${written}, 203.0.113.9` })).toBe('203.0.113.9');
  });

  test.each(spoofs.filter((spoof) => !/^(10[.]|fd)/.test(spoof)))('nor does %j behind two', (written) => {
    expect(behindTwo({ peer: proxy, forwardedFor: `${written}, 203.0.113.9, 10.0.0.2` })).toBe('203.0.113.9');
    expect(behindTwo({ peer: proxy, forwardedFor: `${written}, 203.0.113.9` })).toBe('203.0.113.9');
  });

  test.each([undefined, '', ' ', 'unknown', '1.2.3.4:80', '[::1]', 'for=1.2.3.4', '1.2.3.4, ', '0x7f.1', '1.2.3'])(
    'a header that ends in no address, %j, is refused rather than charged to the proxy',
    (forwardedFor) => {
      expect(behindOne({ peer: proxy, forwardedFor })).toBeUndefined();
    },
  );

  test('no more entries are believed than there are proxies', () => {
    expect(behindOne({ peer: proxy, forwardedFor: '203.0.113.9, 10.0.0.2' })).toBe('10.0.0.2');
    expect(behindTwo({ peer: proxy, forwardedFor: '203.0.113.9, 10.0.0.3, 10.0.0.2' })).toBe('10.0.0.3');
  });

  test('a machine inside the trusted networks may itself be the client', () => {
    expect(behindTwo({ peer: proxy, forwardedFor: '10.0.0.7' })).toBe('10.0.0.7');
  });

  test('the proxy is known however its address is written', () => {
    for (const peer of ['::ffff:10.0.0.1', '::ffff:a00:1', 'fd00::1', 'fd00:0:0::0001']) {
      expect(behindOne({ peer, forwardedFor: '203.0.113.9' })).toBe('203.0.113.9');
    }
  });
});

describe('addresses', () => {
  test('of one IPv6 subscriber count as one', () => {
    const counted = new Set(
      Array.from({ length: 1_000 }, (_, host) =>
        direct({ peer: `2001:db8:1:2:${host.toString(16)}::${host}`, forwardedFor: undefined }),
      ),
    );
    expect([...counted]).toEqual(['2001:db8:1:2::/64']);
  });

  test('of two subscribers count apart', () => {
    const [one, two] = ['2001:db8:1:2::1', '2001:db8:1:3::1'].map((peer) => direct({ peer, forwardedFor: undefined }));
    expect(one).not.toBe(two);
  });

  test.each([
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['::FFFF:cb00:7109', '203.0.113.9'],
    ['0:0:0:0:0:ffff:203.0.113.9', '203.0.113.9'],
    ['::', '0:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['2001:DB8::', '2001:db8:0:0::/64'],
    ['2001:db8:0:0:1::', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4::/64'],
    ['1:2:3:4:5:6:192.0.2.1', '1:2:3:4::/64'],
  ])('%s counts as %s', (peer, counted) => {
    expect(direct({ peer, forwardedFor: undefined })).toBe(counted);
  });

  test('a connection that is gone has none', () => {
    expect(direct({ peer: undefined, forwardedFor: '1.2.3.4' })).toBeUndefined();
  });
});

test.each(['10.0.0.0/33', 'fd00::/129', '10.0.0.0/', '10.0.0.0/8/8', 'all', '', '10.0.0.0/-1', '10.0.0.0/8x'])(
  'the network %j is refused at the start',
  (cidr) => {
    expect(() => createClientAddress({ cidrs: [cidr], hops: 1 })).toThrow(TypeError);
  },
);
