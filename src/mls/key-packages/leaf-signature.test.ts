import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';

import type { SuiteSignature } from '../cipher-suites.ts';
import { verifyLeafSignatures } from './leaf-signature.ts';

interface Signer {
  readonly publicKey: Uint8Array;
  readonly sign: (content: Uint8Array) => Uint8Array;
}

function rawKey(key: KeyObject): Uint8Array {
  const { x, y, pub } = key.export({ format: 'jwk' });
  const parts = [x, y, pub].filter((part) => typeof part === 'string').map((part) => Buffer.from(part, 'base64url'));
  return y === undefined ? Buffer.concat(parts) : Buffer.concat([Buffer.of(4), ...parts]);
}

function ecSigner(curve: string, hash: string): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: curve });
  return { publicKey: rawKey(publicKey), sign: (content) => sign(hash, content, privateKey) };
}

function signerOf(keys: { publicKey: KeyObject; privateKey: KeyObject }): Signer {
  return { publicKey: rawKey(keys.publicKey), sign: (content) => sign(null, content, keys.privateKey) };
}

const SIGNERS: readonly (readonly [SuiteSignature, () => Signer])[] = [
  ['ed25519', () => signerOf(generateKeyPairSync('ed25519'))],
  ['ed448', () => signerOf(generateKeyPairSync('ed448'))],
  ['p256', () => ecSigner('P-256', 'sha256')],
  ['p384', () => ecSigner('P-384', 'sha384')],
  ['p521', () => ecSigner('P-521', 'sha512')],
  ['mldsa87', () => signerOf(generateKeyPairSync('ml-dsa-87'))],
];

describe.each(SIGNERS)('%s', (algorithm, makeSigner) => {
  const signer = makeSigner();
  const first = Buffer.from('leaf');
  const second = Buffer.from('package');

  it('returns true only if every signature is valid', async () => {
    const good = { content: first, signature: signer.sign(first) };
    const alsoGood = { content: second, signature: signer.sign(second) };
    const swapped = { content: second, signature: good.signature };
    expect(await verifyLeafSignatures(algorithm, signer.publicKey, [good, alsoGood])).toBe(true);
    expect(await verifyLeafSignatures(algorithm, signer.publicKey, [good, swapped])).toBe(false);
    expect(await verifyLeafSignatures(algorithm, signer.publicKey, [swapped, good])).toBe(false);
    const empty = { content: first, signature: new Uint8Array() };
    expect(await verifyLeafSignatures(algorithm, signer.publicKey, [empty])).toBe(false);
    expect(await verifyLeafSignatures(algorithm, makeSigner().publicKey, [good])).toBe(false);
  });

  it('returns false for bytes that are not a key', async () => {
    const good = { content: first, signature: signer.sign(first) };
    const { publicKey } = signer;
    const notKeys = [
      new Uint8Array(),
      publicKey.subarray(1),
      Buffer.concat([publicKey, Buffer.of(0)]),
      Buffer.alloc(publicKey.length, 0xff),
      Buffer.alloc(publicKey.length),
    ];
    for (const notKey of notKeys) expect(await verifyLeafSignatures(algorithm, notKey, [good])).toBe(false);
  });
});

it('reads compressed points, which ts-mls writes', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const point = rawKey(publicKey);
  const compressed = Buffer.concat([Buffer.of(2 + ((point.at(-1) ?? 0) & 1)), point.subarray(1, 33)]);
  const content = Buffer.from('leaf');
  const signature = sign('sha256', content, privateKey);
  expect(await verifyLeafSignatures('p256', compressed, [{ content, signature }])).toBe(true);
});
