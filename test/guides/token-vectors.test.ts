import { afterAll, expect, test } from 'vitest';
import type { TokenVectorFile } from '../../bin/codegen/test-vectors/token-vectors.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { startTestBed, startTestServer } from '../support/test-server.ts';
import type { TestBed, TestServer } from '../support/test-server.ts';
import { readVectors } from './read-vectors.ts';

const file = await readVectors<TokenVectorFile>('tokens');
const stops: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const stop of stops.toReversed()) await stop();
});

function documentOf({
  did,
  publicKeyMultibase,
}: TokenVectorFile['people'][number]): Parameters<TestBed['plc']['register']>[0] {
  const method = { id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase };
  return { '@context': ['https://www.w3.org/ns/did/v1'], id: did, verificationMethod: [method] };
}

/** A server at the time of the vectors, which has the people of the file. */
async function serverOf({ people, nowSeconds, service }: TokenVectorFile): Promise<TestServer> {
  const bed = await startTestBed();
  stops.push(() => bed.stop());
  for (const person of people) bed.plc.register(documentOf(person));
  // Tokens that are older than the record of used tokens are refused.
  await bed.database.sql`UPDATE replay_birth SET born_at = to_timestamp(${nowSeconds - 3_600})`;
  const clock = createManualClock(nowSeconds * 1_000);
  const server = await startTestServer({
    databaseUrl: bed.database.url,
    plcUrl: bed.plc.url,
    identityKey: bed.identityKey,
    clock,
    env: { SERVICE_DID: service },
  });
  stops.push(() => {
    const stopping = server.stop();
    // The server waits for its clock while it stops.
    setTimeout(() => clock.advance(60_000), 100);
    return stopping;
  });
  return server;
}

async function wrongVerdicts(vectors: TokenVectorFile): Promise<string[]> {
  const server = await serverOf(vectors);
  const wrong: string[] = [];
  for (const { name, segments, verdict } of vectors.vectors) {
    const response = await fetch(`${server.url}/xrpc/${vectors.method}`, {
      headers: { authorization: `Bearer ${segments.join('.')}` },
    });
    const { error } = (await response.json()) as { error?: string };
    if (response.status !== verdict.status || error !== verdict.error) {
      wrong.push(`${name}: ${response.status} ${error ?? ''}`);
    }
  }
  return wrong;
}

test('a server accepts and refuses each token of tokens.json as the file says', { timeout: 60_000 }, async () => {
  expect(file.vectors.length).toBeGreaterThan(150);
  expect(file.vectors.filter(({ verdict }) => verdict.status === 200).length).toBeGreaterThan(5);
  expect(await wrongVerdicts(file)).toEqual([]);
});

test('tokens.json has each error that a token can cause', () => {
  const errors = new Set(file.vectors.map(({ verdict }) => verdict.error));
  expect([...errors].filter((error) => error !== undefined).toSorted()).toEqual([
    'BadJwt',
    'BadJwtAudience',
    'BadJwtIssuer',
    'BadJwtLexiconMethod',
    'BadJwtLifetime',
    'BadJwtSignature',
    'BadJwtType',
    'JwtExpired',
    'JwtReplayed',
  ]);
});

test('wrong vectors are reported', async () => {
  const [first, second] = file.vectors;
  if (first === undefined || second === undefined) throw new Error('there are no vectors');
  const changedSegments = [...second.segments.slice(0, 2), first.segments[2] ?? ''];
  const planted = [
    { ...first, verdict: { status: 401, error: 'BadJwt' } },
    { ...second, segments: changedSegments },
  ];
  expect(await wrongVerdicts({ ...file, vectors: planted })).toEqual([
    `${first.name}: 200 `,
    `${second.name}: 401 BadJwtSignature`,
  ]);
});
