import { encodeMlsMessage, generateKeyPackageWithKey, type KeyPackage } from 'ts-mls';
import { encodeKeyPackage, signKeyPackage } from 'ts-mls/keyPackage.js';
import { beforeAll, describe, expect, it } from 'vitest';

import { cipherSuiteNumber } from '#mls/cipher-suites.ts';
import { checkKeyPackage, type ExpectedKeyPackage } from '#mls/key-packages/key-package.ts';
import { systemClock } from '#platform/clock.ts';
import { AppError } from '#platform/errors.ts';
import { limits } from '#platform/limits.ts';

import { type KeyPackageOptions, lifetimeAround, MlsDevice, type OwnKeyPackage } from '../support/mls/mls-device.ts';

const DID = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz';
const SUITES = [
  'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519',
  'MLS_128_DHKEMP256_AES128GCM_SHA256_P256',
  'MLS_256_DHKEMP521_AES256GCM_SHA512_P521',
  'MLS_256_DHKEMP384_AES256GCM_SHA384_P384',
];
const LIFETIME_MS_MAX = limits.keyPackageLifetimeMsMax;
const HOUR_MS = 3_600_000;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

async function refusalOf(bytes: Uint8Array, expected: ExpectedKeyPackage): Promise<AppError> {
  try {
    await checkKeyPackage(bytes, expected);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('the key package was accepted');
}

describe.each(SUITES)('key packages of %s', (suiteName) => {
  const nowMs = systemClock.nowMs();
  const expected = (changes: Partial<ExpectedKeyPackage> = {}): ExpectedKeyPackage => ({
    cipherSuite: cipherSuiteNumber(suiteName) ?? 0,
    identity: DID,
    nowMs,
    lifetimeMsMax: LIFETIME_MS_MAX,
    ...changes,
  });
  let device: MlsDevice;

  beforeAll(async () => {
    device = await MlsDevice.create(DID, suiteName);
  });

  const bytesOf = async (options: KeyPackageOptions): Promise<Uint8Array> =>
    (await device.createKeyPackage(options)).bytes;

  /** Makes a key package with a change and a valid outer signature. */
  async function resigned(change: (own: OwnKeyPackage) => Partial<KeyPackage>): Promise<Uint8Array> {
    const own = await device.makeKeyPackage();
    const changed = { ...own.publicPackage, ...change(own) };
    return encodeKeyPackage(
      await signKeyPackage(changed, own.privatePackage.signaturePrivateKey, device.suite.signature),
    );
  }

  it('returns the reference, key and expiry of a valid key package, bare or in an MLSMessage', async () => {
    const own = await device.makeKeyPackage();
    const bare = encodeKeyPackage(own.publicPackage);
    const wrapped = encodeMlsMessage({
      version: 'mls10',
      wireformat: 'mls_key_package',
      keyPackage: own.publicPackage,
    });
    expect(wrapped).toHaveLength(bare.length + 4);
    for (const bytes of [bare, wrapped]) {
      const checked = await checkKeyPackage(bytes, expected());
      expect(hex(checked.keyPackage)).toBe(hex(bare));
      expect(hex(checked.signatureKey)).toBe(hex(device.signaturePublicKey));
      expect(checked.notAfterMs).toBe(
        Number(
          own.publicPackage.leafNode.leafNodeSource === 'key_package'
            ? own.publicPackage.leafNode.lifetime.notAfter
            : 0n,
        ) * 1000,
      );
      expect(checked.lastResort).toBe(false);
    }
  });

  it('computes the same KeyPackageRef as ts-mls', async () => {
    const { bytes, ref } = await device.createKeyPackage();
    expect(hex((await checkKeyPackage(bytes, expected())).ref)).toBe(ref);
  });

  it('detects both forms of a last-resort package', async () => {
    for (const lastResort of ['extension', 'component'] as const) {
      expect((await checkKeyPackage(await bytesOf({ lastResort }), expected())).lastResort).toBe(true);
    }
  });

  it('shortens an unbounded lifetime instead of refusing it', async () => {
    const bytes = await bytesOf({ lifetime: { notBefore: 0n, notAfter: 2n ** 63n - 1n } });
    expect((await checkKeyPackage(bytes, expected())).notAfterMs).toBe(nowMs + LIFETIME_MS_MAX);
  });

  it('refuses a key package that has expired or is not valid yet, with a leeway of one hour', async () => {
    const { notBefore, notAfter } = lifetimeAround(nowMs);
    const bytes = await bytesOf({ lifetime: { notBefore, notAfter } });
    const endMs = Number(notAfter) * 1000;
    const startMs = Number(notBefore) * 1000;
    await checkKeyPackage(bytes, expected({ nowMs: endMs - 1 }));
    expect((await refusalOf(bytes, expected({ nowMs: endMs }))).message).toContain('expired');
    await checkKeyPackage(bytes, expected({ nowMs: startMs - HOUR_MS }));
    expect((await refusalOf(bytes, expected({ nowMs: startMs - HOUR_MS - 1 }))).message).toContain('not valid yet');
    const reversed = await bytesOf({ lifetime: { notBefore: notAfter, notAfter: notAfter - 1n } });
    expect((await refusalOf(reversed, expected({ nowMs: endMs - 2_000 }))).code).toBe('InvalidKeyPackage');
  });

  it.each([
    ['another person', 'did:plc:ewvi7nxzyoun6zhxrhs64oi2'],
    ['a device of the DID', `${DID}#device`],
    ['a prefix of the DID', DID.slice(0, -1)],
    ['another spelling', DID.toUpperCase()],
    ['an empty DID', ''],
  ])('refuses a credential of %s', async (_name, identity) => {
    const refusal = await refusalOf(await bytesOf({ identity }), expected());
    expect([refusal.code, refusal.message]).toEqual(['InvalidKeyPackage', expect.stringContaining('exactly your DID')]);
  });

  it('refuses a credential that is not Basic', async () => {
    const { publicPackage, privatePackage } = await device.makeKeyPackage();
    const keys = { signKey: privatePackage.signaturePrivateKey, publicKey: device.signaturePublicKey };
    const x509 = await generateKeyPackageWithKey(
      { credentialType: 'x509', certificates: [Buffer.from(DID)] },
      publicPackage.leafNode.capabilities,
      lifetimeAround(nowMs),
      [],
      keys,
      device.suite,
    );
    const refusal = await refusalOf(encodeKeyPackage(x509.publicPackage), expected());
    expect(refusal.message).toContain('Basic credential');
  });

  it('refuses a suite other than that of the request, and an unknown one', async () => {
    const bytes = await bytesOf({});
    expect((await refusalOf(bytes, expected({ cipherSuite: 3 }))).code).toBe('InvalidCipherSuite');
    const unknown = Buffer.from(bytes);
    unknown.writeUInt16BE(0xf000, 2);
    expect((await refusalOf(unknown, expected({ cipherSuite: 0xf000 }))).code).toBe('InvalidCipherSuite');
  });

  it('refuses an init key that is also the encryption key', async () => {
    const bytes = await resigned(({ publicPackage }) => ({ initKey: publicPackage.leafNode.hpkePublicKey }));
    expect((await refusalOf(bytes, expected())).message).toContain('one key');
  });

  it('checks the signature of the leaf as well as that of the package', async () => {
    const other = await device.makeKeyPackage();
    await checkKeyPackage(await resigned(() => ({})), expected());
    const bytes = await resigned(({ publicPackage }) => ({
      leafNode: { ...publicPackage.leafNode, signature: other.publicPackage.leafNode.signature },
    }));
    expect((await refusalOf(bytes, expected())).message).toContain('signature');
  });

  it('refuses trailing bytes, missing bytes, and sizes above the limit', async () => {
    const bytes = await bytesOf({});
    const wrapped = Buffer.concat([Buffer.of(0, 1, 0, 5), bytes]);
    for (const whole of [bytes, wrapped]) {
      for (const sizeBytes of [0, 1, 4, 5, 100, whole.length - 1]) {
        expect((await refusalOf(whole.subarray(0, sizeBytes), expected())).code).toBe('InvalidKeyPackage');
      }
      expect((await refusalOf(Buffer.concat([whole, Buffer.of(0)]), expected())).code).toBe('InvalidKeyPackage');
    }
    const tooLarge = Buffer.alloc(limits.keyPackageSizeBytesMax + 1);
    expect((await refusalOf(tooLarge, expected())).message).toContain('too large');
    expect((await refusalOf(Buffer.concat([Buffer.of(0, 1, 0, 5), wrapped]), expected())).code).toBe(
      'InvalidKeyPackage',
    );
  });

  it('refuses every key package with one flipped bit', async () => {
    const bytes = await bytesOf({ lastResort: 'component' });
    const accepted: number[] = [];
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      try {
        await checkKeyPackage(flipped, expected());
        accepted.push(at);
      } catch (error) {
        expect(error).toBeInstanceOf(AppError);
      }
    }
    expect(accepted).toEqual([]);
  });
});
