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

/** The documents come from loopback in any case; `network` is that of the PDS. */
function openBlocks(network: IdentityNetwork): BlockRecords {
  const fetchDidDocument = createFetchDidDocument({ clock, network: 'private', plcUrl: plc.url, timeoutMs: 400 });
  const documents = createDidDocuments({ fetchDidDocument, clock, network: 'private', entriesMax: 1_000 });
  return createBlockRecords({
    clock,
    fetchBlockRecords: createFetchBlockRecords({ documents, clock, network, timeoutMs: 400 }),
  });
}

const somebody = (pdsUrl = pds.url): string => createAccount(plc, { pdsUrl }).did;

async function blockedBy(did: string, options?: { refresh: 'force' }): Promise<string[] | undefined> {
  const list = await blocks.blocksOf(did, options);
  return list === undefined ? undefined : [...list.keys()].toSorted();
}

describe("a person's blocks are what their own PDS says", () => {
  test('all pages are read, and what is no block is passed over', async () => {
    const blocker = somebody();
    const blocked = Array.from({ length: 230 }, randomPlcDid);
    for (const did of blocked) pds.block(blocker, did);
    pds.addRecord(blocker, { subject: 42 });
    pds.addRecord(blocker, 'nonsense');
    expect(await blockedBy(blocker)).toEqual(blocked.toSorted());
  });

  test('a record tells whom, since when, and where it is', async () => {
    const [blocker, blocked] = [somebody(), randomPlcDid()];
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
    expect(await blockedBy(blocker), 'what was asked about is read anew').toEqual([]);
  });

  test('a date that is none, or beyond the calendar, becomes 1970', async () => {
    const [blocker, first, second] = [somebody(), randomPlcDid(), randomPlcDid()];
    pds.addRecord(blocker, { subject: first, createdAt: 'yesterday' });
    pds.addRecord(blocker, { subject: second, createdAt: '+012025-01-01T00:00:00Z' });
    const list = await blocks.blocksOf(blocker);
    expect([first, second].map((did) => list?.get(did)?.createdAtMs)).toEqual([0, 0]);
  });
});

describe('a PDS is asked seldom, and never for long', () => {
  test('a list is kept for a minute, read once for all who ask at the same time, and at once by force', async () => {
    const blocker = somebody();
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

  test('of one person one thing at a time is read', async () => {
    const [blocker, other] = [somebody(), somebody()];
    await Promise.all([
      ...Array.from({ length: 12 }, () => blocks.blocksOf(blocker, { refresh: 'force' })),
      ...Array.from({ length: 12 }, () => blocks.blockAt(blocker, '3k00000000001')),
      blocks.blocksOf(other),
    ]);
    expect(pds.requests(blocker)).toBe(24);
    expect(pds.requestsAtOnceMax(blocker)).toBe(1);
  });

  test('ten pages at most are read of anybody', async () => {
    const blocker = somebody();
    pds.misbehave(blocker, 'endless');
    expect(await blockedBy(blocker)).toEqual(['did:web:nobody.test']);
    expect(pds.requests(blocker)).toBe(10);
  });

  test.each<PdsMisbehaviour>(['error', 'big-page', 'not-json', 'html', 'redirect', 'hang'])(
    'a PDS that answers with "%s" is unreadable, and left alone for five seconds',
    async (how) => {
      const blocker = somebody();
      pds.misbehave(blocker, how);
      expect(await blockedBy(blocker)).toBeUndefined();
      expect(await blocks.blockAt(blocker, '3k00000000001')).toBe('unreadable');
      const asked = pds.requests(blocker);
      pds.misbehave(blocker, undefined);
      expect(await blockedBy(blocker)).toBeUndefined();
      expect(pds.requests(blocker)).toBe(asked);
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
  ])('a PDS at %s is not asked from the public network', async (pdsUrl) => {
    blocks = openBlocks('public');
    expect(await blockedBy(somebody(pdsUrl))).toBeUndefined();
  });

  test('the guard stands before the PDS of this test, too', async () => {
    const blocker = somebody();
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
