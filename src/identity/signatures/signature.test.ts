import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { importVerifier, signatureBackend } from './signature.ts';
import type { Curve, SignatureBackend } from './signature.ts';

const orders = {
  secp256k1: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
  p256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
} as const;
const data = 'what is signed';

function scalar(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
}

function signed(curve: Curve): { point: Buffer; signature: Buffer } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: curve === 'p256' ? 'prime256v1' : 'secp256k1' });
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' });
  const parts = [jwk.x ?? '', jwk.y ?? ''].map((part) => Buffer.from(part, 'base64url'));
  const signature = sign('sha256', Buffer.from(data), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return { point: Buffer.concat([Buffer.from([4]), ...parts]), signature };
}

test('the native addon is loaded, so the tests below cover both backends', () => {
  expect(signatureBackend).toBe('secp256k1-native');
});

const cases: readonly { curve: Curve; backend: SignatureBackend }[] = [
  { curve: 'secp256k1', backend: 'secp256k1-native' },
  { curve: 'secp256k1', backend: 'node-crypto' },
  { curve: 'p256', backend: 'node-crypto' },
];

describe.for(cases)('$curve by $backend', ({ curve, backend }) => {
  const order = orders[curve];
  const { point, signature } = signed(curve);
  const verify = importVerifier(curve, point, backend);
  const [r, s] = [signature.subarray(0, 32), signature.subarray(32)];
  const mirrored = scalar(order - BigInt(`0x${s.toString('hex')}`));

  test('both signatures of a mirrored pair are accepted, and the input bytes stay unchanged', async () => {
    const [low, high] = [Buffer.concat([r, s]), Buffer.concat([r, mirrored])];
    const copies = [Buffer.from(low), Buffer.from(high)];
    expect([await verify(data, low), await verify(data, high)]).toEqual([true, true]);
    expect([low, high]).toEqual(copies);
  });

  test('a compressed point gives the same key', async () => {
    const sign = (point[64] ?? 0) % 2 === 0 ? 2 : 3;
    const compressed = importVerifier(curve, Buffer.concat([Buffer.from([sign]), point.subarray(1, 33)]), backend);
    expect(await compressed(data, signature)).toBe(true);
  });

  test.for<[string, () => Buffer]>([
    ['other data', () => signed(curve).signature],
    ['63 bytes', () => signature.subarray(0, 63)],
    ['65 bytes', () => Buffer.concat([signature, Buffer.from([0])])],
    ['no bytes', () => Buffer.alloc(0)],
    ['r = 0', () => Buffer.concat([scalar(0n), s])],
    ['s = 0', () => Buffer.concat([r, scalar(0n)])],
    ['r = n', () => Buffer.concat([scalar(order), s])],
    ['s = n', () => Buffer.concat([r, scalar(order)])],
    ['r > n', () => Buffer.concat([scalar(order + 1n), s])],
    ['all ones', () => Buffer.alloc(64, 0xff)],
    ['swapped halves', () => Buffer.concat([s, r])],
  ])('%s is refused', async ([, forged]) => {
    expect(await verify(data, forged())).toBe(false);
  });

  test('a point off the curve is refused as a key', () => {
    const off = Buffer.from(point);
    off[64] = (off[64] ?? 0) ^ 1;
    expect(() => importVerifier(curve, off, backend)).toThrow('EC_POINT');
    expect(() => importVerifier(curve, Buffer.alloc(0), backend)).toThrow('not an EC public key');
    expect(() => importVerifier(curve, Buffer.from([0]), backend)).toThrow('not an EC public key');
  });
});

test('some checks of one iteration of the event loop run at once and the others elsewhere, with the same results', async () => {
  const { point, signature } = signed('secp256k1');
  const verify = importVerifier('secp256k1', point);
  const forged = Buffer.from(signature);
  forged[40] = (forged[40] ?? 0) ^ 1;
  const results = Array.from({ length: 40 }, (_, nth) => verify(data, nth % 2 === 0 ? signature : forged));
  expect(results.slice(0, 2)).toEqual([true, false]);
  expect(results.at(-1)).toBeInstanceOf(Promise);
  expect(await Promise.all(results.map(async (result) => result))).toEqual(results.map((_, nth) => nth % 2 === 0));
  await new Promise(setImmediate);
  expect([verify(data, forged), verify(data, signature)]).toEqual([false, true]);
});
