import { describe, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { createAccount, randomPlcDid } from '../support/clients/account.ts';
import { errorCode } from '../support/error-code.ts';
import type { Misbehaviour } from '../support/network/loopback-plc.ts';
import { eventually, freshMs, minuteMs, useDidDocuments } from './did-documents-fixture.ts';

const fixture = useDidDocuments();

describe('every form of a key is read', () => {
  const forms = (['secp256k1', 'p256'] as const).flatMap((curve) =>
    (['multikey', 'legacy', 'jwk'] as const).map((keyForm) => ({ curve, keyForm })),
  );
  test.for(forms)('$curve as $keyForm', async ({ curve, keyForm }) => {
    const account = createAccount(fixture.plc, { curve, keyForm });
    expect(await fixture.verifies(account)).toBe(true);
    expect(await fixture.documents.signingKey(account.did)).toMatchObject({
      algorithm: curve === 'p256' ? 'ES256' : 'ES256K',
      id: `${account.did}#atproto`,
    });
  });

  test('did:web, and an id that is only a fragment', async () => {
    const did = `did:web:localhost%3A${fixture.plc.port}`;
    const account = createAccount(fixture.plc, { did });
    const [method] = account.document().verificationMethod ?? [];
    fixture.plc.register({ ...account.document(), verificationMethod: [{ ...method, id: '#atproto' }] });
    expect(await fixture.verifies(account)).toBe(true);
  });
});

describe('kid selects the key', () => {
  test('kid may name a key of the same document by fragment or full id', async () => {
    const other = createAccount(fixture.plc, { fragment: 'other' });
    for (const kid of ['#other', 'other', `${other.did}#other`])
      expect(await fixture.verifies(other, { kid })).toBe(true);
    await expect(fixture.documents.signingKey(other.did)).rejects.toMatchObject({ code: 'SigningKeyMissing' });
  });

  test('kid cannot name a key of another document', async () => {
    const [account, other] = [createAccount(fixture.plc), createAccount(fixture.plc)];
    await fixture.documents.signingKey(other.did);
    const kid = `${other.did}#atproto`;
    await expect(fixture.documents.signingKey(account.did, { kid })).rejects.toMatchObject({
      code: 'SigningKeyMissing',
    });
  });

  test("a key with another document's id is ignored", async () => {
    const other = createAccount(fixture.plc);
    const did = randomPlcDid();
    fixture.plc.register({ ...other.document(), id: did });
    const kid = `${other.did}#atproto`;
    await expect(fixture.documents.signingKey(did, { kid })).rejects.toMatchObject({ code: 'SigningKeyMissing' });
  });

  test('two keys with the same id are ambiguous, so both are ignored', async () => {
    const [account, other] = [createAccount(fixture.plc), createAccount(fixture.plc)];
    const [first] = account.document().verificationMethod ?? [];
    const [second] = other.document().verificationMethod ?? [];
    fixture.plc.register({ ...account.document(), verificationMethod: [first ?? {}, { ...second, id: '#atproto' }] });
    await expect(fixture.documents.signingKey(account.did)).rejects.toMatchObject({ code: 'SigningKeyMissing' });
  });

  const zQ3 = 'zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme';
  test.for<[string, Record<string, unknown>]>([
    ['no multibase prefix', { type: 'Multikey', publicKeyMultibase: zQ3.slice(1) }],
    ['a point that is not on the curve', { type: 'Multikey', publicKeyMultibase: `${zQ3.slice(0, -1)}f` }],
    [
      'a Multikey of another curve',
      { type: 'Multikey', publicKeyMultibase: 'z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK' },
    ],
    ['a type without signatures', { type: 'X25519KeyAgreementKey2020', publicKeyMultibase: zQ3 }],
    ['a very long key', { type: 'Multikey', publicKeyMultibase: `z${'2'.repeat(20_000)}` }],
    ['a JWK that is no EC key', { type: 'JsonWebKey2020', publicKeyJwk: { kty: 'oct', k: 'AAAA' } }],
    [
      'a JWK off the curve',
      { type: 'JsonWebKey2020', publicKeyJwk: { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) } },
    ],
    [
      'a JWK with short coordinates',
      { type: 'JsonWebKey2020', publicKeyJwk: { kty: 'EC', crv: 'P-256', x: 'AAAA', y: 'AAAA' } },
    ],
  ])('%s is ignored', async ([, fields]) => {
    const did = randomPlcDid();
    fixture.plc.register({ id: did, verificationMethod: [{ id: `${did}#atproto`, controller: did, ...fields }] });
    await expect(fixture.documents.signingKey(did)).rejects.toMatchObject({ code: 'SigningKeyMissing' });
  });

  test('the valid key that the invalid keys are made from is read', async () => {
    const did = randomPlcDid();
    const fields = { type: 'Multikey', publicKeyMultibase: zQ3 };
    fixture.plc.register({ id: did, verificationMethod: [{ id: `${did}#atproto`, controller: did, ...fields }] });
    expect(await fixture.documents.signingKey(did)).toMatchObject({ algorithm: 'ES256K' });
  });
});

describe('the directory gets few requests', () => {
  test('50 concurrent lookups make one request and share one parsed key', async () => {
    const { did } = createAccount(fixture.plc);
    const keys = await Promise.all(Array.from({ length: 50 }, () => fixture.documents.signingKey(did)));
    expect(fixture.plc.requests(did)).toBe(1);
    expect(new Set(keys).size).toBe(1);
  });

  test('50 concurrent lookups of an absent DID make one request', async () => {
    const did = randomPlcDid();
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => fixture.documents.signingKey(did)));
    expect(results.map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => 'rejected'));
    expect(fixture.plc.requests(did)).toBe(1);
  });

  test('an absent DID is requested again after a minute', async () => {
    const did = randomPlcDid();
    const isAbsent = (): Promise<void> =>
      expect(fixture.documents.signingKey(did)).rejects.toMatchObject({ code: 'DidNotFound' });
    await isAbsent();
    fixture.clock.advance(minuteMs - 1);
    await isAbsent();
    expect(fixture.plc.requests(did)).toBe(1);
    createAccount(fixture.plc, { did });
    fixture.clock.advance(1);
    await fixture.documents.signingKey(did);
    expect(fixture.plc.requests(did)).toBe(2);
  });

  test('at most 16 fetches of a DID method run at once, and a lookup that waits too long gets IdentityUnavailable', async () => {
    const dids = Array.from({ length: 300 }, () => createAccount(fixture.plc).did);
    for (const did of dids) fixture.plc.misbehave(did, 'hang');
    const results = Promise.allSettled(dids.map((did) => fixture.documents.signingKey(did)));
    await eventually(() => fixture.plc.pending() === 16);
    await systemClock.sleep(50);
    expect(fixture.plc.pending()).toBe(16);
    for (const did of dids) fixture.plc.misbehave(did, undefined);
    fixture.plc.release();
    const codes = (await results).map((result) => (result.status === 'fulfilled' ? 'key' : errorCode(result.reason)));
    expect(codes.filter((code) => code === 'key')).toHaveLength(16 + 256);
    expect(codes.filter((code) => code === 'IdentityUnavailable')).toHaveLength(300 - 16 - 256);
  });

  test('the least recently used document is dropped first', async () => {
    fixture.openDocuments(2);
    const [a, b, c] = [createAccount(fixture.plc).did, createAccount(fixture.plc).did, createAccount(fixture.plc).did];
    for (const did of [a, b, a, c, a]) await fixture.documents.signingKey(did);
    expect([fixture.plc.requests(a), fixture.plc.requests(b), fixture.plc.requests(c)]).toEqual([1, 1, 1]);
    await fixture.documents.signingKey(b);
    expect(fixture.plc.requests(b)).toBe(2);
  });

  test('absent DIDs do not push documents out', async () => {
    fixture.openDocuments(4);
    const { did } = createAccount(fixture.plc);
    await fixture.documents.signingKey(did);
    for (let i = 0; i < 10; i++) await fixture.documents.signingKey(randomPlcDid()).catch(() => undefined);
    await fixture.documents.signingKey(did);
    expect(fixture.plc.requests(did)).toBe(1);
  });
});

describe('a directory that misbehaves', () => {
  test.for<[Misbehaviour, string]>([
    ['hang', 'IdentityUnavailable'],
    ['slow-body', 'IdentityUnavailable'],
    ['error', 'IdentityUnavailable'],
    ['big-body', 'IdentityUnavailable'],
    ['tombstone', 'DidNotFound'],
    ['wrong-id', 'DidNotFound'],
    ['not-json', 'DidNotFound'],
    ['compressed', 'IdentityUnavailable'],
    ['bomb', 'IdentityUnavailable'],
    ['endless-body', 'IdentityUnavailable'],
    ['drip-body', 'IdentityUnavailable'],
    ['many-keys', 'IdentityUnavailable'],
  ])('%s gives %s in time', async ([how, code]) => {
    const { did } = createAccount(fixture.plc);
    fixture.plc.misbehave(did, how);
    const startMs = performance.now();
    await expect(fixture.documents.signingKey(did)).rejects.toMatchObject({ code });
    expect(performance.now() - startMs).toBeLessThan(2_000);
    fixture.plc.release();
  });

  test('a document with keys such as __proto__ changes no prototype, and its signing key is used', async () => {
    const account = createAccount(fixture.plc);
    fixture.plc.misbehave(account.did, 'polluting');
    expect(await fixture.verifies(account)).toBe(true);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  test('keys after the first 32 of a document are ignored', async () => {
    const account = createAccount(fixture.plc);
    const [key = {}] = account.document().verificationMethod ?? [];
    const list = (others: number): void => {
      const before = Array.from({ length: others }, (_, at) => ({ ...key, id: `#other${at}` }));
      fixture.plc.register({ ...account.document(), verificationMethod: [...before, key] });
    };
    list(31);
    expect(await fixture.verifies(account)).toBe(true);
    list(200);
    fixture.clock.advance(freshMs);
    await expect(fixture.documents.signingKey(account.did)).rejects.toMatchObject({ code: 'SigningKeyMissing' });
  });

  test('an error does not contain the DID', async () => {
    const { did } = createAccount(fixture.plc);
    fixture.plc.misbehave(did, 'error');
    const error: unknown = await fixture.documents.signingKey(did).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(Error);
    expect(`${String(error)} ${JSON.stringify(error)} ${String((error as Error).cause)}`).not.toContain(did.slice(8));
  });
});
