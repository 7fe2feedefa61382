import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { createDidDocuments } from '#identity/did-documents/did-documents.ts';
import type { DidDocuments } from '#identity/did-documents/did-documents.ts';
import { createFetchDidDocument } from '#identity/did-documents/fetch-did-document.ts';
import type { IdentityNetwork } from '#identity/did-documents/did.ts';
import { createAccount } from '../support/clients/account.ts';
import { errorCode } from '../support/error-code.ts';
import { startLoopbackPlc } from '../support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../support/network/loopback-plc.ts';
import { watchOutbound } from '../support/network/outbound-watch.ts';

const outbound = watchOutbound();
let plc: LoopbackPlc;

beforeAll(async () => {
  plc = await startLoopbackPlc();
});
afterEach(() => outbound.reset());
afterAll(async () => {
  outbound.stop();
  await plc.close();
});

function openDocuments(network: IdentityNetwork, plcUrl: string): DidDocuments {
  const fetchDidDocument = createFetchDidDocument({ clock: systemClock, network, plcUrl, timeoutMs: 500 });
  return createDidDocuments({ fetchDidDocument, clock: systemClock, network, entriesMax: 100 });
}

async function refusal(documents: DidDocuments, did: string): Promise<unknown> {
  return documents.signingKey(did).then(() => 'accepted', errorCode);
}

describe('a did:web that is not a plain public host name is refused without a request', () => {
  const port = '%3A8080';
  test.for([
    'did:web:127.0.0.1',
    'did:web:127.1',
    'did:web:2130706433',
    'did:web:0x7f000001',
    'did:web:0x7f.0.0.1',
    'did:web:0177.0.0.1',
    'did:web:127.0.0.0x1',
    'did:web:169.254.169.254',
    'did:web:10.0.0.1',
    'did:web:100.64.0.1',
    'did:web:0.0.0.0',
    'did:web:8.8.8.8',
    'did:web:[::1]',
    'did:web:[::ffff:7f00:1]',
    'did:web:%5B%3A%3A1%5D',
    'did:web:[64:ff9b::7f00:1]',
    'did:web:[fd00::1]',
    'did:web:localhost',
    `did:web:localhost${port}`,
    'did:web:localhost.',
    'did:web:a.localhost',
    'did:web:printer.local',
    'did:web:metadata.google.internal',
    'did:web:a.test',
    'did:web:a.example',
    'did:web:a.onion',
    'did:web:1.0.0.127.in-addr.arpa',
    'did:web:host',
    'did:web:a.example.com.',
    `did:web:a.nightjar.dev${port}`,
    'did:web:a.nightjar.dev:8080',
    'did:web:a.nightjar.dev:path',
    'did:web:a.nightjar.dev%3A443',
    'did:web:a.nightjar.dev/path',
    'did:web:a.nightjar.dev%2Fpath',
    'did:web:user@a.nightjar.dev',
    'did:web:user%40a.nightjar.dev',
    'did:web:a.nightjar.dev#x',
    'did:web:a.nightjar.dev%23x',
    'did:web:a.nightjar.dev?x',
    'did:web:A.nightjar.dev',
    'did:web:ä.nightjar.dev',
    'did:web:a。nightjar.dev',
    'did:web:１２７.0.0.1',
    'did:web:a..nightjar.dev',
    'did:web:-a.nightjar.dev',
    'did:web:a.nightjar.dev\n',
    'did:web:a.nightjar.dev\r\nhost: b',
    'did:web:a.nightjar.dev\\@127.0.0.1',
    `did:web:${'a.'.repeat(130)}dev`,
    'did:web:',
    'did:web:.',
    'did:plc:',
    'did:plc:ABCDEFGHIJKLMNOPQRSTUVWX',
    'did:plc:aaaaaaaaaaaaaaaaaaaaaaa',
    'did:plc:aaaaaaaaaaaaaaaaaaaaaaaaa',
    'did:plc:aaaaaaaaaaaaaaaaaaaaaaa1',
    'did:plc:../aaaaaaaaaaaaaaaaaaaaa',
    'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa#b',
    'did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme',
    'DID:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
    ' did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
    'https://a.nightjar.dev',
    '',
    '__proto__',
  ])('%s', async (did) => {
    outbound.setLookupResults(['127.0.0.1']);
    expect(await refusal(openDocuments('public', 'https://plc.directory'), did)).toBe('DidUnsupported');
    expect(outbound.names).toEqual([]);
    expect(outbound.attempts).toEqual([]);
  });
});

const insideAnswers: readonly (readonly string[])[] = [
  ['127.0.0.1'],
  ['127.255.255.254'],
  ['169.254.169.254'],
  ['10.1.2.3'],
  ['172.16.0.1'],
  ['172.31.255.255'],
  ['192.168.1.1'],
  ['192.0.0.1'],
  ['192.0.2.1'],
  ['100.64.0.1'],
  ['100.127.255.255'],
  ['0.0.0.0'],
  ['0.1.2.3'],
  ['224.0.0.1'],
  ['240.0.0.1'],
  ['255.255.255.255'],
  ['198.18.0.1'],
  ['198.51.100.1'],
  ['203.0.113.1'],
  ['::1'],
  ['::'],
  ['::ffff:127.0.0.1'],
  ['::ffff:7f00:1'],
  ['::ffff:10.0.0.1'],
  ['64:ff9b::7f00:1'],
  ['2002:7f00:1::'],
  ['2001::1'],
  ['100::1'],
  ['fc00::1'],
  ['fd00::1'],
  ['fe80::1'],
  ['fec0::1'],
  ['ff02::1'],
  ['2001:db8::1'],
  ['93.184.216.34', '127.0.0.1'],
  ['127.0.0.1', '93.184.216.34'],
  ['2606:2800:220:1::1', '::1'],
  ['93.184.216.34', '2606:2800:220:1::1', 'fd00::1'],
];

describe('no connection is made to a name that resolves to a private address', () => {
  test.for(insideAnswers)('%s', async (addresses) => {
    outbound.setLookupResults(addresses);
    const documents = openDocuments('public', 'https://plc.directory');
    expect(await refusal(documents, 'did:web:rebind.nightjar.dev')).toBe('IdentityUnavailable');
    expect(outbound.names, 'the lookup went through the guard').toContain('rebind.nightjar.dev');
    expect(outbound.attempts).toEqual([]);
  });
});

describe('a name whose DNS result changes', () => {
  test('is connected to at the checked address, without a second lookup', async () => {
    outbound.setLookupResults(['93.184.216.34'], ['127.0.0.1']);
    const documents = openDocuments('public', 'https://plc.directory');
    expect(await refusal(documents, 'did:web:rebind.nightjar.dev')).toBe('IdentityUnavailable');
    expect(outbound.names).toEqual(['rebind.nightjar.dev']);
    expect(outbound.resolved).toEqual(['93.184.216.34']);
    expect(outbound.attempts).toEqual([]);
  });

  test('is refused when the new address is private', async () => {
    outbound.setLookupResults(['93.184.216.34'], ['127.0.0.1']);
    for (const lookups of [1, 2]) {
      const documents = openDocuments('public', 'https://plc.directory');
      expect(await refusal(documents, 'did:web:rebind.nightjar.dev')).toBe('IdentityUnavailable');
      expect(outbound.names).toHaveLength(lookups);
    }
    expect(outbound.resolved).toEqual(['93.184.216.34']);
    expect(outbound.attempts).toEqual([]);
  });
});

describe('a directory on loopback', () => {
  test('is refused unless the private network is allowed', async () => {
    const { did } = createAccount(plc);
    expect(await refusal(openDocuments('public', plc.url), did)).toBe('IdentityUnavailable');
    expect(outbound.attempts).toEqual([]);
    expect(plc.requests(did)).toBe(0);
  });

  test('is reached when the private network is allowed, and the connection is recorded', async () => {
    const { did } = createAccount(plc);
    expect(await refusal(openDocuments('private', plc.url), did)).toBe('accepted');
    expect(outbound.attempts).toContain(`127.0.0.1:${plc.port}`);
  });
});
