import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDidDocuments } from '#identity/did-documents/did-documents.ts';
import type { DidDocuments } from '#identity/did-documents/did-documents.ts';
import { createFetchDidDocument } from '#identity/did-documents/fetch-did-document.ts';
import { systemClock } from '#platform/clock.ts';
import { createAccount, randomPlcDid } from '../support/clients/account.ts';
import type { Account } from '../support/clients/account.ts';
import { errorCode } from '../support/error-code.ts';
import { startLoopbackPlc } from '../support/network/loopback-plc.ts';
import type { LoopbackPlc, Misbehaviour } from '../support/network/loopback-plc.ts';
import { createManualClock } from '../support/manual-clock.ts';
import type { ManualClock } from '../support/manual-clock.ts';

const minuteMs = 60_000;
const freshMs = 5 * minuteMs;

let plc: LoopbackPlc;
let clock: ManualClock;
let documents: DidDocuments;

beforeAll(async () => {
  plc = await startLoopbackPlc();
});
afterAll(() => plc.close());
beforeEach(() => {
  clock = createManualClock(1_800_000_000_000);
  documents = openDocuments();
});

function openDocuments({ entriesMax = 1_000 } = {}): DidDocuments {
  const network = 'private';
  const fetchDidDocument = createFetchDidDocument({ clock, network, plcUrl: plc.url, timeoutMs: 400 });
  return createDidDocuments({ fetchDidDocument, clock, network, entriesMax });
}

/** Whether the key in the cache verifies what `account` signs now. */
async function verifies(account: Account, options: Parameters<DidDocuments['signingKey']>[1] = {}): Promise<boolean> {
  const [header, payload, signature] = account.signToken('{}', '{}').split('.');
  const key = await documents.signingKey(account.did, options);
  return key.verify(Buffer.from(`${header}.${payload}`), Buffer.from(signature ?? '', 'base64url'));
}

async function eventually(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition did not come true');
    await systemClock.sleep(5);
  }
}

describe('every way to write a key is read', () => {
  const forms = (['secp256k1', 'p256'] as const).flatMap((curve) =>
    (['multikey', 'legacy', 'jwk'] as const).map((keyForm) => ({ curve, keyForm })),
  );
  test.for(forms)('$curve as $keyForm', async ({ curve, keyForm }) => {
    const account = createAccount(plc, { curve, keyForm });
    expect(await verifies(account)).toBe(true);
    expect(await documents.signingKey(account.did)).toMatchObject({
      algorithm: curve === 'p256' ? 'ES256' : 'ES256K',
      id: `${account.did}#atproto`,
    });
  });

  test('did:web, and an id that is only a fragment', async () => {
    const did = `did:web:localhost%3A${plc.port}`;
    const account = createAccount(plc, { did });
    const [method] = account.document().verificationMethod ?? [];
    plc.register({ ...account.document(), verificationMethod: [{ ...method, id: '#atproto' }] });
    expect(await verifies(account)).toBe(true);
  });
});

describe('the key is chosen by name', () => {
  test('kid may name a key of the same document by fragment or full id', async () => {
    const other = createAccount(plc, { fragment: 'other' });
    for (const kid of ['#other', 'other', `${other.did}#other`]) expect(await verifies(other, { kid })).toBe(true);
    await expect(documents.signingKey(other.did)).rejects.toMatchObject({ code: 'SigningKeyMissing' });
  });

  test('kid cannot lead to another document', async () => {
    const [account, stranger] = [createAccount(plc), createAccount(plc)];
    await documents.signingKey(stranger.did);
    const kid = `${stranger.did}#atproto`;
    await expect(documents.signingKey(account.did, { kid })).rejects.toMatchObject({ code: 'SigningKeyMissing' });
  });

  test("a document that lists another document's key does not make it its own", async () => {
    const stranger = createAccount(plc);
    const did = randomPlcDid();
    plc.register({ ...stranger.document(), id: did });
    const kid = `${stranger.did}#atproto`;
    await expect(documents.signingKey(did, { kid })).rejects.toMatchObject({ code: 'SigningKeyMissing' });
  });

  test('two keys of one name are ambiguous, so neither counts', async () => {
    const [account, other] = [createAccount(plc), createAccount(plc)];
    const [first] = account.document().verificationMethod ?? [];
    const [second] = other.document().verificationMethod ?? [];
    plc.register({ ...account.document(), verificationMethod: [first ?? {}, { ...second, id: '#atproto' }] });
    await expect(documents.signingKey(account.did)).rejects.toMatchObject({ code: 'SigningKeyMissing' });
  });

  const zQ3 = 'zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme';
  test.for<[string, Record<string, unknown>]>([
    ['no multibase prefix', { type: 'Multikey', publicKeyMultibase: zQ3.slice(1) }],
    ['a point that is not on the curve', { type: 'Multikey', publicKeyMultibase: `${zQ3.slice(0, -1)}f` }],
    [
      'a Multikey of another curve',
      { type: 'Multikey', publicKeyMultibase: 'z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK' },
    ],
    ['a type that signs nothing', { type: 'X25519KeyAgreementKey2020', publicKeyMultibase: zQ3 }],
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
  ])('%s is no key', async ([, fields]) => {
    const did = randomPlcDid();
    plc.register({ id: did, verificationMethod: [{ id: `${did}#atproto`, controller: did, ...fields }] });
    await expect(documents.signingKey(did)).rejects.toMatchObject({ code: 'SigningKeyMissing' });
  });

  test('the positive control of the broken keys is read', async () => {
    const did = randomPlcDid();
    const fields = { type: 'Multikey', publicKeyMultibase: zQ3 };
    plc.register({ id: did, verificationMethod: [{ id: `${did}#atproto`, controller: did, ...fields }] });
    expect(await documents.signingKey(did)).toMatchObject({ algorithm: 'ES256K' });
  });
});

describe('the directory is asked as little as possible', () => {
  test('50 lookups at once make one request, and share one parsed key', async () => {
    const { did } = createAccount(plc);
    const keys = await Promise.all(Array.from({ length: 50 }, () => documents.signingKey(did)));
    expect(plc.requests(did)).toBe(1);
    expect(new Set(keys).size).toBe(1);
  });

  test('50 lookups at once of an absent DID make one request', async () => {
    const did = randomPlcDid();
    const answers = await Promise.allSettled(Array.from({ length: 50 }, () => documents.signingKey(did)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => 'rejected'));
    expect(plc.requests(did)).toBe(1);
  });

  test('an absent DID is asked for again after a minute', async () => {
    const did = randomPlcDid();
    const isAbsent = (): Promise<void> =>
      expect(documents.signingKey(did)).rejects.toMatchObject({ code: 'DidNotFound' });
    await isAbsent();
    clock.advance(minuteMs - 1);
    await isAbsent();
    expect(plc.requests(did)).toBe(1);
    createAccount(plc, { did });
    clock.advance(1);
    await documents.signingKey(did);
    expect(plc.requests(did)).toBe(2);
  });

  test('at most 16 fetches of a method run at once, and who waits too long is told to come back', async () => {
    const dids = Array.from({ length: 300 }, () => createAccount(plc).did);
    for (const did of dids) plc.misbehave(did, 'hang');
    const answers = Promise.allSettled(dids.map((did) => documents.signingKey(did)));
    await eventually(() => plc.pending() === 16);
    await systemClock.sleep(50);
    expect(plc.pending()).toBe(16);
    for (const did of dids) plc.misbehave(did, undefined);
    plc.release();
    const codes = (await answers).map((answer) => (answer.status === 'fulfilled' ? 'key' : errorCode(answer.reason)));
    expect(codes.filter((code) => code === 'key')).toHaveLength(16 + 256);
    expect(codes.filter((code) => code === 'IdentityUnavailable')).toHaveLength(300 - 16 - 256);
  });

  test('the least recently used document is dropped first', async () => {
    documents = openDocuments({ entriesMax: 2 });
    const [a, b, c] = [createAccount(plc).did, createAccount(plc).did, createAccount(plc).did];
    for (const did of [a, b, a, c, a]) await documents.signingKey(did);
    expect([plc.requests(a), plc.requests(b), plc.requests(c)]).toEqual([1, 1, 1]);
    await documents.signingKey(b);
    expect(plc.requests(b)).toBe(2);
  });

  test('absent DIDs do not push documents out', async () => {
    documents = openDocuments({ entriesMax: 4 });
    const { did } = createAccount(plc);
    await documents.signingKey(did);
    for (let i = 0; i < 10; i++) await documents.signingKey(randomPlcDid()).catch(() => undefined);
    await documents.signingKey(did);
    expect(plc.requests(did)).toBe(1);
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
  ])('%s is answered with %s in time', async ([how, code]) => {
    const { did } = createAccount(plc);
    plc.misbehave(did, how);
    const startMs = performance.now();
    await expect(documents.signingKey(did)).rejects.toMatchObject({ code });
    expect(performance.now() - startMs).toBeLessThan(2_000);
    plc.release();
  });

  test('a document that would change every object changes none, and its key counts', async () => {
    const account = createAccount(plc);
    plc.misbehave(account.did, 'polluting');
    expect(await verifies(account)).toBe(true);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  test('of very many keys those behind the first 32 do not count', async () => {
    const account = createAccount(plc);
    const [key = {}] = account.document().verificationMethod ?? [];
    const list = (others: number): void => {
      const before = Array.from({ length: others }, (_, at) => ({ ...key, id: `#other${at}` }));
      plc.register({ ...account.document(), verificationMethod: [...before, key] });
    };
    list(31);
    expect(await verifies(account)).toBe(true);
    list(200);
    clock.advance(freshMs);
    await expect(documents.signingKey(account.did)).rejects.toMatchObject({ code: 'SigningKeyMissing' });
  });

  test('an error says nothing about whom it concerns', async () => {
    const { did } = createAccount(plc);
    plc.misbehave(did, 'error');
    const error: unknown = await documents.signingKey(did).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(Error);
    expect(`${String(error)} ${JSON.stringify(error)} ${String((error as Error).cause)}`).not.toContain(did.slice(8));
  });
});
