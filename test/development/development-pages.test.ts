import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { peopleMax } from '../../src/development/identity-files.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

interface Person {
  readonly name: string;
  readonly did: string;
  readonly handle: string;
}

const nsid = (method: string): string => `blue.catbird.mls.${method}`;
let bed: TestBed;
let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'nightjar-people-'));
  bed = await startTestBed({ env: { DEVELOPMENT_IDENTITIES: 'true', DATA_DIR: dataDir } });
});
afterAll(async () => {
  await bed.stop();
  await rm(dataDir, { recursive: true, force: true });
});

/** Sends a request with exactly these headers, which `fetch` would not do. */
function send(
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: unknown }> {
  const url = new URL(path, bed.server().url);
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: options.method ?? 'GET', headers: options.headers ?? {} }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) });
      });
    });
    sent.on('error', reject).end();
  });
}

async function people(): Promise<readonly Person[]> {
  return ((await send('/dev/people')).body as { people: Person[] }).people;
}

async function tokenOf(name: string, method: string): Promise<string> {
  const { body } = await send(`/dev/token?as=${name}&lxm=${nsid(method)}`);
  return (body as { token: string }).token;
}

function call(method: string, token: string): Promise<Response> {
  return fetch(`${bed.server().url}/xrpc/${nsid(method)}`, { headers: { authorization: `Bearer ${token}` } });
}

describe('people and tokens', () => {
  test('alice, bob and carol exist from the first start, each with a did:plc and a handle', async () => {
    const { status, body } = await send('/dev/people');
    expect(status).toBe(200);
    const did = expect.stringMatching(/^did:plc:[a-z2-7]{24}$/);
    expect(body).toMatchObject({
      serviceDid: bed.server().serviceDid,
      people: ['alice', 'bob', 'carol'].map((name) => ({ name, did, handle: `${name}.test` })),
    });
    expect(new Set((await people()).map((person) => person.did)).size).toBe((await people()).length);
  });

  test('a token of a person is accepted once, for its method only', async () => {
    const token = await tokenOf('alice', 'getConvos');
    expect((await call('getOptInStatus', token)).status).toBe(401);
    expect((await call('getConvos', token)).status).toBe(200);
    expect((await call('getConvos', token)).status).toBe(401);
  });

  test('a token has the claims of a token of a PDS, and ends after 60 seconds', async () => {
    const [, payload = ''] = (await tokenOf('bob', 'getConvos')).split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    const bob = (await people()).find(({ name }) => name === 'bob');
    expect(Object.keys(claims).toSorted()).toEqual(['aud', 'exp', 'iat', 'iss', 'jti', 'lxm']);
    expect(claims).toMatchObject({ iss: bob?.did, aud: bed.server().serviceDid, lxm: nsid('getConvos') });
    expect(Number(claims['exp']) - Number(claims['iat'])).toBe(60);
  });

  test('a person is created once, and the server accepts their tokens at once', async () => {
    const created = await send('/dev/people?name=dave-2', { method: 'POST' });
    expect(created).toMatchObject({ status: 200, body: { name: 'dave-2', handle: 'dave-2.test' } });
    expect(await send('/dev/people?name=dave-2', { method: 'POST' })).toEqual(created);
    expect((await call('getConvos', await tokenOf('dave-2', 'getConvos'))).status).toBe(200);
  });

  test('tokens of people whose DID documents are elsewhere are accepted too', async () => {
    expect(await bed.client().call('getConvos', {})).toMatchObject({ conversations: [] });
  });

  test('the DID document has the handle and the key of the person, and no PDS', async () => {
    const { did = '' } = (await people()).find(({ name }) => name === 'carol') ?? {};
    const publicKeyMultibase = expect.stringMatching(/^zDn/);
    expect(await send(`/dev/did-document?did=${did}`)).toMatchObject({
      status: 200,
      body: {
        id: did,
        alsoKnownAs: ['at://carol.test'],
        verificationMethod: [{ id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase }],
        service: [],
      },
    });
    expect((await send('/dev/did-document?did=did:plc:aaaaaaaaaaaaaaaaaaaaaaaa')).status).toBe(404);
  });

  test('only the owner of the folder can read the keys', async () => {
    const folder = join(dataDir, 'development/people');
    const files = await readdir(folder);
    expect(files).toContain('alice.json');
    for (const file of files) expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600);
  });

  test.each([
    ['POST', '/dev/people', 400, 'BadName'],
    ['POST', '/dev/people?name=Alice', 400, 'BadName'],
    ['POST', '/dev/people?name=..%2Fserver', 400, 'BadName'],
    ['POST', `/dev/people?name=${'a'.repeat(33)}`, 400, 'BadName'],
    ['GET', `/dev/token?as=nobody&lxm=${nsid('getConvos')}`, 404, 'PersonNotFound'],
    ['GET', `/dev/token?as=..%2F..%2Fserver&lxm=${nsid('getConvos')}`, 400, 'BadName'],
    ['GET', '/dev/token?as=alice&lxm=com.atproto.server.deleteAccount', 400, 'InvalidRequest'],
    ['GET', '/dev/token?as=alice', 400, 'InvalidRequest'],
    ['GET', '/dev/stored-rows?convoId=0', 400, 'InvalidRequest'],
    ['GET', `/dev/stored-rows?convoId=${'00'.repeat(65)}`, 400, 'InvalidRequest'],
    ['GET', '/dev/other', 404, 'NotFound'],
  ])('%s %s is refused with %i %s', async (method, path, status, error) => {
    expect(await send(path, { method })).toMatchObject({ status, body: { error } });
  });

  test(`there are at most ${peopleMax} people`, async () => {
    const missing = peopleMax - (await people()).length;
    for (let at = 0; at < missing; at++) {
      expect((await send(`/dev/people?name=extra${at}`, { method: 'POST' })).status).toBe(200);
    }
    expect(await send('/dev/people?name=surplus', { method: 'POST' })).toMatchObject({
      status: 409,
      body: { error: 'TooManyPeople' },
    });
    expect((await send('/dev/people?name=alice', { method: 'POST' })).status).toBe(200);
    expect(await people()).toHaveLength(peopleMax);
  });
});

const paths = [
  ['GET', '/dev/people'],
  ['POST', '/dev/people?name=mallory'],
  ['GET', `/dev/token?as=alice&lxm=${nsid('getConvos')}`],
  ['GET', '/dev/did-document?did=did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'],
  ['GET', '/dev/stored-rows?convoId=00'],
] as const;

const foreignRequests: readonly (readonly [string, Record<string, string>])[] = [
  ['a foreign name that resolves to this machine (DNS rebinding)', { host: 'attacker.example' }],
  ['a name that begins like a loopback name', { host: 'localhost.attacker.example' }],
  ['a name below a loopback address', { host: '127.0.0.1.attacker.example:8080' }],
  ['an address of the network', { host: '192.168.1.7:8080' }],
  ['a page of another site', { 'sec-fetch-site': 'cross-site' }],
  ['a page on another port of this machine', { 'sec-fetch-site': 'same-site' }],
  ['a page of another origin in a browser without Sec-Fetch-Site', { origin: 'https://attacker.example' }],
  ['a sandboxed page', { origin: 'null' }],
  ['a proxy', { 'x-forwarded-for': '203.0.113.7' }],
];

describe('requests from elsewhere', () => {
  test.each(foreignRequests)('%s gets the response of a path that does not exist', async (_, headers) => {
    for (const [method, path] of paths) {
      const { body, status } = await send(path, { method, headers });
      expect({ status, body }).toEqual(await send('/nothing-is-here'));
      expect(status).toBe(404);
    }
    expect((await people()).map(({ name }) => name)).not.toContain('mallory');
  });

  test.each([['localhost'], ['127.0.0.1:8080'], ['[::1]:8080'], ['LOCALHOST:9']])(
    'the host %s is local',
    async (host) => {
      expect((await send('/dev/people', { headers: { host } })).status).toBe(200);
    },
  );

  test('an own page and a typed address are local', async () => {
    const { host } = new URL(bed.server().url);
    const own = { host, 'sec-fetch-site': 'same-origin', origin: `http://${host}` };
    expect((await send('/dev/people', { headers: own })).status).toBe(200);
    expect((await send('/dev/people', { headers: { 'sec-fetch-site': 'none' } })).status).toBe(200);
  });
});

test('no log line has a name, a DID, a token or a conversation of these requests', async () => {
  const { did } = (await people())[0] ?? { did: '' };
  const token = await tokenOf('alice', 'getConvos');
  await call('getConvos', token);
  const convoId = 'ca11ab1e'.repeat(4);
  await send(`/dev/stored-rows?convoId=${convoId}`);
  await send(`/dev/token?as=canary-person&lxm=${nsid('getConvos')}`);
  const log = bed.server().logLines.join('\n');
  expect(log).toContain('development_identities_on');
  for (const canary of [did, did.slice(8), token, token.slice(-20), convoId, 'canary-person', 'alice']) {
    expect(log).not.toContain(canary);
  }
});
