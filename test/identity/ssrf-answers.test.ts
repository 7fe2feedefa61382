import { createServer } from 'node:http';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { createBlockRecords } from '#identity/block-records/block-records.ts';
import { createDidDocuments } from '#identity/did-documents/did-documents.ts';
import type { DidDocuments } from '#identity/did-documents/did-documents.ts';
import { createFetchBlockRecords } from '#identity/block-records/fetch-block-records.ts';
import { createFetchDidDocument } from '#identity/did-documents/fetch-did-document.ts';
import type { IdentityNetwork } from '#identity/did-documents/did.ts';
import { createAccount } from '../support/clients/account.ts';
import { errorCode } from '../support/error-code.ts';
import { startLoopbackPlc } from '../support/network/loopback-plc.ts';
import type { LoopbackPlc, Misbehaviour } from '../support/network/loopback-plc.ts';
import { watchOutbound } from '../support/network/outbound-watch.ts';

const outbound = watchOutbound();
let plc: LoopbackPlc;
/** A server in the private network, which must get no connection. */
let inside: Server;
let insideConnections = 0;

beforeAll(async () => {
  plc = await startLoopbackPlc();
  inside = createServer((_request, response) => response.end('{}')).on('connection', () => (insideConnections += 1));
  inside.listen(0, '127.0.0.1');
  await once(inside, 'listening');
});
afterEach(() => outbound.reset());
afterAll(async () => {
  outbound.stop();
  inside.close();
  await plc.close();
});

const insidePort = (): number => (inside.address() as AddressInfo).port;

function openDocuments(network: IdentityNetwork, plcUrl: string): DidDocuments {
  const fetchDidDocument = createFetchDidDocument({ clock: systemClock, network, plcUrl, timeoutMs: 500 });
  return createDidDocuments({ fetchDidDocument, clock: systemClock, network, entriesMax: 100 });
}

async function refusal(documents: DidDocuments, did: string): Promise<unknown> {
  return documents.signingKey(did).then(() => 'accepted', errorCode);
}

describe('a redirect is not followed', () => {
  const targets = {
    'to an address inside': () => `http://127.0.0.1:${insidePort()}/`,
    'to a name': () => 'http://plc.nightjar.dev/',
    'to itself': () => '',
    'without a scheme': () => `//127.0.0.1:${insidePort()}/`,
    'to a file': () => 'file:///etc/passwd',
  };
  const redirects = [301, 302, 303, 307, 308].flatMap((status) =>
    Object.entries(targets).map(([name, target]) => [status, name, target] as const),
  );
  test.for(redirects)('%i %s', async ([status, , target]) => {
    const { did } = createAccount(plc);
    plc.misbehave(did, { status, location: target() });
    expect(await refusal(openDocuments('private', plc.url), did)).toBe('IdentityUnavailable');
    expect(plc.requests(did)).toBe(1);
    expect(outbound.attempts.filter((attempt) => !attempt.endsWith(`:${plc.port}`))).toEqual([]);
    expect(insideConnections).toBe(0);
  });
});

describe('no connection is made to a PDS in the private network or at an unusual address', () => {
  test.for<string>([
    'https://127.0.0.1',
    'https://127.1',
    'https://2130706433',
    'https://0x7f000001',
    'https://0177.0.0.1',
    'https://127.0.0.1.',
    'https://①②⑦.⓪.⓪.①',
    'https://[::1]',
    'https://[::ffff:127.0.0.1]',
    'https://[64:ff9b::7f00:1]',
    'https://[fd00::1]',
    'https://[fe80::1]',
    'https://169.254.169.254',
    'https://10.0.0.1',
    'https://100.64.0.1',
    'https://0.0.0.0',
    'https://0',
    'https://8.8.8.8',
    'https://localhost',
    'https://localhost.',
    'https://LOCALHOST',
    'https://pds',
    'https://a.localhost',
    'https://printer.local',
    'https://metadata.google.internal',
    'https://pds.nightjar.dev',
    'https://pds.nightjar.dev.',
    'https://user:password@pds.nightjar.dev',
    'https://pds.nightjar.dev%2F@127.0.0.1',
    'https://pds.nightjar.dev%23@127.0.0.1',
    'https://pds.nightjar.dev\\@127.0.0.1',
    'https://127.0.0.1%2523@pds.nightjar.dev',
    'https://pds。nightjar。dev',
    'https://ｐｄｓ.nightjar.dev',
    'https://pds.nightjar.dev:8443',
    'https://pds.nightjar.dev:22',
    'http://pds.nightjar.dev',
    'http://127.0.0.1',
    'file:///etc/passwd',
    'data:application/json,{}',
    'ftp://pds.nightjar.dev',
    'gopher://127.0.0.1',
    'https://',
    'https:///',
    'pds.nightjar.dev',
    '//127.0.0.1',
  ])('%s', async (pdsUrl) => {
    const { did } = createAccount(plc, { pdsUrl });
    const documents = openDocuments('private', plc.url);
    await documents.pdsEndpoint(did).catch(() => undefined);
    outbound.reset();
    outbound.setLookupResults(['127.0.0.1']);
    const fetchBlockRecords = createFetchBlockRecords({
      documents,
      clock: systemClock,
      network: 'public',
      timeoutMs: 500,
    });
    const blocks = createBlockRecords({ fetchBlockRecords, clock: systemClock });
    expect(await blocks.blocksOf(did)).toBeUndefined();
    expect(outbound.attempts).toEqual([]);
  });
});

describe('an unexpected response', () => {
  test.for<Misbehaviour>([
    'compressed',
    'bomb',
    'endless-body',
    'drip-body',
    'slow-body',
    'big-body',
    'many-keys',
    'wrong-id',
    'not-json',
  ])('%s is refused in time', async (how) => {
    const { did } = createAccount(plc);
    plc.misbehave(did, how);
    const startedMs = performance.now();
    expect(await refusal(openDocuments('private', plc.url), did)).toMatch(/^(IdentityUnavailable|DidNotFound)$/);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });
});
