import { describe, expect, test } from 'vitest';
import { newSecret } from '#platform/ids.ts';
import { padToBucket, sizeBucketBytes, timeBucketMs, unpadFromBucket } from './buckets.ts';
import { KeyRingError, parseKeyRing } from './key-ring.ts';
import { createPrivacy, SealError } from './privacy.ts';
import type { PseudonymPurpose } from './privacy.ts';

const did = 'did:plc:pseudonymsdifferheretoo2';
const keyOf = (id: number): string => `${id}:${newSecret(32).toString('base64')}`;
const oldKey = keyOf(1);
const newKey = keyOf(2);
const privacy = createPrivacy(parseKeyRing(oldKey));

describe('pseudonyms', () => {
  const purposes: readonly PseudonymPurpose[] = [
    'account',
    'member',
    'device-owner',
    'device-tag',
    'device-uuid',
    'key-package-owner',
    'key-package-claimer',
    'welcome-recipient',
    'welcome-ref',
    'welcome-device',
    'commit-id',
    'replay',
  ];

  test('a DID has a different pseudonym for every purpose, scope and key, and the same one on every server', () => {
    const group = newSecret(16);
    const scopes = [[], [group], [newSecret(16)], [group, ''], ['', group], [0], ['0', '0']];
    const other = createPrivacy(parseKeyRing(newKey));
    const all = [privacy, other].flatMap((keyed) =>
      purposes.flatMap((purpose) => scopes.map((scope) => keyed.pseudonym(purpose, scope, did).toString('hex'))),
    );
    expect(new Set(all).size).toBe(2 * purposes.length * scopes.length);
    expect(all.every((pseudonym) => pseudonym.length === 32)).toBe(true);
    const again = createPrivacy(parseKeyRing(oldKey));
    expect(again.pseudonym('member', [group], did)).toEqual(privacy.pseudonym('member', [group], did));
  });

  test('moving a byte between scope and value, or between two parts of a scope, gives another pseudonym', () => {
    const all = [
      privacy.pseudonym('member', ['ab'], 'c'),
      privacy.pseudonym('member', ['a'], 'bc'),
      privacy.pseudonym('member', ['a', 'b'], 'c'),
      privacy.pseudonym('member', ['', 'ab'], 'c'),
      privacy.pseudonym('member', [], 'abc'),
    ];
    expect(new Set(all.map((pseudonym) => pseudonym.toString('hex'))).size).toBe(all.length);
  });
});

describe('seals', () => {
  const row = newSecret(16);
  const sealed = privacy.seal('member-did', [row, 7], Buffer.from(did));

  test('can be opened only in their own row and for their purpose', () => {
    expect(privacy.unseal('member-did', [row, 7], sealed).toString()).toBe(did);
    for (const binding of [[newSecret(16), 7], [row, 8], [row], [row, 7, ''], [7, row], []]) {
      expect(() => privacy.unseal('member-did', binding, sealed)).toThrow(SealError);
    }
    expect(() => privacy.unseal('account-did', [row, 7], sealed)).toThrow(SealError);
  });

  test('cannot be opened after a change of any bit, truncated or extended', () => {
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8((changed[bit >> 3] ?? 0) ^ (1 << (bit & 7)), bit >> 3);
      expect(() => privacy.unseal('member-did', [row, 7], changed)).toThrow(SealError);
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(() => privacy.unseal('member-did', [row, 7], sealed.subarray(0, length))).toThrow(SealError);
    }
    expect(() => privacy.unseal('member-did', [row, 7], Buffer.concat([sealed, Buffer.of(0)]))).toThrow(SealError);
  });

  test('can be opened after a key rotation while the old key is in the ring, and not without it', () => {
    const rotated = createPrivacy(parseKeyRing(`${newKey},${oldKey}`));
    expect(rotated.keyId).toBe(2);
    expect(rotated.unseal('member-did', [row, 7], sealed).toString()).toBe(did);
    const fresh = rotated.seal('member-did', [row, 7], Buffer.from(did));
    expect(() => privacy.unseal('member-did', [row, 7], fresh)).toThrow(SealError);
    const without = createPrivacy(parseKeyRing(newKey));
    expect(() => without.unseal('member-did', [row, 7], sealed)).toThrow(SealError);
    const otherKey = createPrivacy(parseKeyRing(keyOf(1)));
    expect(() => otherKey.unseal('member-did', [row, 7], sealed)).toThrow(SealError);
    expect(without.unseal('member-did', [row, 7], fresh).toString()).toBe(did);
  });

  test('of the same text differ every time, and their length reveals only its 64-byte step', () => {
    const lengths = new Set<number>();
    for (let length = 0; length <= 62; length++) {
      const text = privacy.sealText('device', ['x'], 'é'.repeat(length / 2) + 'a'.repeat(length % 2));
      lengths.add(text.length);
      expect(privacy.unsealText('device', ['x'], text)).toHaveLength(Math.floor(length / 2) + (length % 2));
    }
    expect([...lengths]).toEqual([30 + 64]);
    expect(privacy.sealText('device', ['x'], 'same')).not.toEqual(privacy.sealText('device', ['x'], 'same'));
  });
});

describe('a key ring', () => {
  test('with a short, repetitive, doubly numbered or missing key is refused, and the error does not contain the key', () => {
    const short = `1:${newSecret(31).toString('base64')}`;
    const repetitive = `1:${Buffer.alloc(32, 7).toString('base64')}`;
    for (const text of [
      '',
      ' ',
      short,
      repetitive,
      `${oldKey},${oldKey}`,
      keyOf(0),
      keyOf(256),
      `x${oldKey}`,
      oldKey.slice(2),
    ]) {
      expect(() => parseKeyRing(text)).toThrow(KeyRingError);
      const secret = text.slice(2, 20);
      if (secret.length > 8) expect(() => parseKeyRing(text)).not.toThrow(secret);
    }
  });

  test('derives a different key for every use', () => {
    const { current } = parseKeyRing(oldKey);
    const [one, other, again] = [current.derive('a'), current.derive('b'), parseKeyRing(oldKey).current.derive('a')];
    expect(one.equals(other)).toBe(false);
    expect(one.equals(again)).toBe(true);
    expect(one.symmetricKeySize).toBe(32);
  });
});

describe('buckets', () => {
  test('sizes have few values, and padding can be removed', () => {
    for (const sizeBytes of [0, 1, 507, 508, 509, 1_020, 4_092, 4_093, 8_188, 8_189, 50_136]) {
      const bytes = newSecret(sizeBytes);
      const padded = padToBucket(bytes);
      expect(padded.length).toBe(sizeBucketBytes(sizeBytes + 4));
      expect(unpadFromBucket(padded)).toEqual(bytes);
    }
    const sizes = new Set(Array.from({ length: 16_384 }, (_, sizeBytes) => sizeBucketBytes(sizeBytes + 1)));
    expect([...sizes]).toEqual([512, 1_024, 2_048, 4_096, 8_192, 16_384]);
  });

  test('times are rounded down to the bucket', () => {
    expect(timeBucketMs(1_700_000_059_999, 60)).toBe(1_700_000_040_000);
    expect(timeBucketMs(1_700_000_040_000, 60)).toBe(1_700_000_040_000);
    expect(timeBucketMs(1_700_000_039_999, 60)).toBe(1_699_999_980_000);
  });
});
