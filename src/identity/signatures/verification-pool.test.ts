import { createHash, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { required } from '#platform/errors.ts';
import { loadNativeVerifier } from './native-secp256k1.ts';
import { createVerificationPool } from './verification-pool.ts';

const verifyHere = required(loadNativeVerifier(), 'the native addon');

function signed(text: string): [Uint8Array, Uint8Array, Uint8Array] {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' });
  const point = [jwk.x ?? '', jwk.y ?? ''].map((part) => Buffer.from(part, 'base64url'));
  const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return [createHash('sha256').update(text).digest(), signature, Buffer.concat([Buffer.from([4]), ...point])];
}

test('each of 300 concurrent checks gets its own result', async () => {
  const verify = createVerificationPool(verifyHere);
  const cases = Array.from({ length: 300 }, (_, index) => {
    const [digest, signature, publicKey] = signed(`text ${index}`);
    const isWrong = index % 3 === 0;
    return { parts: [digest, isWrong ? signed('other')[1] : signature, publicKey] as const, isWrong };
  });
  const results = await Promise.all(cases.map(({ parts }) => verify(...parts)));
  expect(results).toEqual(cases.map(({ isWrong }) => !isWrong));
});

test('signatures are checked on another thread', async () => {
  const verify = createVerificationPool(() => expect.fail('checked on the main thread'));
  expect(await verify(...signed('text'))).toBe(true);
});

test('bytes that cannot be parsed give false, and the thread checks the next signature', async () => {
  const verify = createVerificationPool(() => expect.fail('checked on the main thread'));
  const good = signed('text');
  const [digest, signature] = good;
  expect(await verify(digest, signature, Buffer.alloc(65))).toBe(false);
  expect(await verify(...good)).toBe(true);
});

test('when the thread dies, pending and later signatures are checked on the main thread', async () => {
  const verify = createVerificationPool(verifyHere, new URL('data:text/javascript,process.exit(1)'));
  const [good, bad] = [signed('text'), signed('text')];
  expect(await Promise.all([verify(...good), verify(bad[0], good[1], bad[2])])).toEqual([true, false]);
  expect(await verify(...signed('later'))).toBe(true);
});
