import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createBlockRecords } from '#identity/block-records/block-records.ts';
import type { BlockRecords } from '#identity/block-records/block-records.ts';
import { createDidDocuments } from '#identity/did-documents/did-documents.ts';
import type { IdentityNetwork } from '#identity/did-documents/did.ts';
import { blockUri, createFetchBlockRecords, recordKeyOf } from '#identity/block-records/fetch-block-records.ts';
import { createFetchDidDocument } from '#identity/did-documents/fetch-did-document.ts';
import { readPdsEndpoint } from '#identity/did-documents/pds-endpoint.ts';
import { createAccount, randomPlcDid } from '../support/clients/account.ts';
import { startLoopbackPds } from '../support/network/loopback-pds.ts';
import type { LoopbackPds, PdsMisbehaviour } from '../support/network/loopback-pds.ts';
import { startLoopbackPlc } from '../support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../support/network/loopback-plc.ts';
import { createManualClock } from '../support/manual-clock.ts';
import type { ManualClock } from '../support/manual-clock.ts';

let plc: LoopbackPlc;
let pds: LoopbackPds;
let clock: ManualClock;
let blocks: BlockRecords;

beforeAll(async () => {
  [plc, pds] = await Promise.all([startLoopbackPlc(), startLoopbackPds()]);
});
afterAll(() => Promise.all([plc.close(), pds.close()]));
beforeEach(() => {
  clock = createManualClock(1_800_000_000_000);
  blocks = openBlocks('private');
});

/** DID documents always come from loopback; `network` applies to the PDS. */
function openBlocks(network: IdentityNetwork): BlockRecords {
  const fetchDidDocument = createFetchDidDocument({ clock, network: 'private', plcUrl: plc.url, timeoutMs: 400 });
  const documents = createDidDocuments({ fetchDidDocument, clock, network: 'private', entriesMax: 1_000 });
  return createBlockRecords({
    clock,
    fetchBlockRecords: createFetchBlockRecords({ documents, clock, network, timeoutMs: 400 }),
  });
}

const newPerson = (pdsUrl = pds.url): string => createAccount(plc, { pdsUrl }).did;

async function blockedBy(did: string, options?: { refresh: 'force' }): Promise<string[] | undefined> {
  const list = await blocks.blocksOf(did, options);
  return list === undefined ? undefined : [...list.keys()].toSorted();
}

describe("a person's blocks are read from their own PDS", () => {
  test('all pages are read, and records that are not blocks are ignored', async () => {
    const blocker = newPerson();
    const blocked = Array.from({ length: 230 }, randomPlcDid);
    for (const did of blocked) pds.block(blocker, did);
    pds.addRecord(blocker, { subject: 42 });
    pds.addRecord(blocker, 'nonsense');
    expect(await blockedBy(blocker)).toEqual(blocked.toSorted());
  });

  test('a block has the blocked person, the time and the record key', async () => {
    const [blocker, blocked] = [newPerson(), randomPlcDid()];
    const uri = pds.block(blocker, blocked);
    const record = (await blocks.blocksOf(blocker))?.get(blocked);
    expect(record).toMatchObject({ subjectDid: blocked, createdAtMs: Date.parse('2025-01-02T03:04:05.678Z') });
    const recordKey = record?.recordKey ?? '';
    expect(blockUri(blocker, recordKey)).toBe(uri);
    expect(recordKeyOf(blocker, uri)).toBe(recordKey);
    expect(recordKeyOf(blocked, uri)).toBeUndefined();
    expect(await blocks.blockAt(blocker, recordKey)).toEqual(record);
    pds.unblock(blocker, blocked);
    expect(await blocks.blockAt(blocker, recordKey)).toBe('absent');
    expect(await blockedBy(blocker), 'the list is read again after blockAt').toEqual([]);
  });

  test('an invalid date, or one out of range, becomes 1970', async () => {
    const [blocker, first, second] = [newPerson(), randomPlcDid(), randomPlcDid()];
    pds.addRecord(blocker, { subject: first, createdAt: 'yesterday' });
    pds.addRecord(blocker, { subject: second, createdAt: '+012025-01-01T00:00:00Z' });
    const list = await blocks.blocksOf(blocker);
    expect([first, second].map((did) => list?.get(did)?.createdAtMs)).toEqual([0, 0]);
  });
});

describe('requests to a PDS are limited in number and time', () => {
  test('a list is cached for a minute, read once for concurrent callers, and read again with refresh', async () => {
    const blocker = newPerson();
    expect(await Promise.all(Array.from({ length: 20 }, () => blockedBy(blocker)))).toEqual(Array(20).fill([]));
    expect(pds.requests(blocker)).toBe(1);
    const blocked = randomPlcDid();
    pds.block(blocker, blocked);
    clock.advance(59_000);
    expect(await blockedBy(blocker)).toEqual([]);
    expect(await blockedBy(blocker, { refresh: 'force' })).toEqual([blocked]);
    clock.advance(61_000);
    pds.unblock(blocker, blocked);
    expect(await blockedBy(blocker)).toEqual([]);
    expect(pds.requests(blocker)).toBe(3);
  });

  test("one person's repository gets one request at a time", async () => {
    const [blocker, other] = [newPerson(), newPerson()];
    await Promise.all([
      ...Array.from({ length: 12 }, () => blocks.blocksOf(blocker, { refresh: 'force' })),
      ...Array.from({ length: 12 }, () => blocks.blockAt(blocker, '3k00000000001')),
      blocks.blocksOf(other),
    ]);
    expect(pds.requests(blocker)).toBe(24);
    expect(pds.requestsAtOnceMax(blocker)).toBe(1);
  });

  test('at most ten pages of a person are read', async () => {
    const blocker = newPerson();
    pds.misbehave(blocker, 'endless');
    expect(await blockedBy(blocker)).toEqual(['did:web:nobody.test']);
    expect(pds.requests(blocker)).toBe(10);
  });

  test.each<PdsMisbehaviour>(['error', 'big-page', 'not-json', 'html', 'redirect', 'hang'])(
    'a PDS that responds with "%s" is unreadable, and gets no request for five seconds',
    async (how) => {
      const blocker = newPerson();
      pds.misbehave(blocker, how);
      expect(await blockedBy(blocker)).toBeUndefined();
      expect(await blocks.blockAt(blocker, '3k00000000001')).toBe('unreadable');
      const requests = pds.requests(blocker);
      pds.misbehave(blocker, undefined);
      expect(await blockedBy(blocker)).toBeUndefined();
      expect(pds.requests(blocker)).toBe(requests);
      clock.advance(5_000);
      expect(await blockedBy(blocker)).toEqual([]);
    },
  );

  test.each([
    'http://127.0.0.1:1',
    'https://127.0.0.1',
    'https://localhost',
    'https://10.0.0.1',
    'ftp://pds.example.com',
  ])('a PDS at %s gets no request on the public network', async (pdsUrl) => {
    blocks = openBlocks('public');
    expect(await blockedBy(newPerson(pdsUrl))).toBeUndefined();
  });

  test('the guard also refuses the PDS of this test', async () => {
    const blocker = newPerson();
    blocks = openBlocks('public');
    expect(await blockedBy(blocker)).toBeUndefined();
    expect(pds.requests(blocker)).toBe(0);
  });
});

test('the PDS of a document is the service of that name and type, as an origin', () => {
  const did = 'did:web:example.com';
  const service = {
    id: '#atproto_pds',
    type: 'AtprotoPersonalDataServer',
    serviceEndpoint: 'https://pds.example.com/x',
  };
  expect(readPdsEndpoint(did, [{ ...service, id: '#other' }, service])).toBe('https://pds.example.com');
  expect(readPdsEndpoint(did, [{ ...service, id: `${did}#atproto_pds` }])).toBe('https://pds.example.com');
  expect(readPdsEndpoint(did, [{ ...service, type: 'Other' }])).toBeUndefined();
  expect(readPdsEndpoint(did, [{ ...service, serviceEndpoint: { uri: 'https://pds.example.com' } }])).toBeUndefined();
  expect(readPdsEndpoint(did, [{ ...service, serviceEndpoint: 'file:///etc/passwd' }])).toBeUndefined();
});
