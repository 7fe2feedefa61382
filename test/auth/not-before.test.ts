import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refuseTokens } from '#auth/refuse-tokens.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { createAccount } from '../support/clients/account.ts';
import { childEnvironment } from '../support/processes/child-environment.ts';
import { startChildServer } from '../support/processes/child-server.ts';
import { openRawServerSentEvents, openRawSocket, StreamRefused } from '../support/clients/raw-streams.ts';
import { createLeakScanner, dumpTables } from '../support/privacy/leak-scanner.ts';
import { runJob } from '../support/processes/run-job.ts';
import { startTestBed, testEnvironment } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { createXrpcClient, errorNameOf } from '../support/clients/xrpc-client.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';
import { projectRoot } from '../conventions/source-tree.ts';

const method = 'getConvos';
/** Two polls of the refusals, with a margin for a slow machine. */
const endWithinMs = 20_000;

let bed: TestBed;
beforeAll(async () => {
  bed = await startTestBed({ servers: 2 });
  // Makes the record of used tokens older than the tokens of these tests.
  await bed.database.sql`UPDATE replay_birth SET born_at = now() - interval '1 hour'`;
});
afterAll(() => bed.stop());

/** Runs `npm run admin -- account …` on the same database, in a child process. */
async function admin(...args: string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [join(projectRoot, 'bin/admin.ts'), 'account', ...args],
    {
      cwd: projectRoot,
      env: { ...childEnvironment, DATABASE_URL: bed.database.url, IDENTITY_KEY: bed.identityKey },
    },
  );
  expect(stderr).toBe('');
  return stdout.trim();
}

/** Refuses tokens as the command does, without a child process. */
function refuse(did: string, notBefore: Date | 'now' | 'forever'): Promise<unknown> {
  return refuseTokens({ sql: bed.database.sql, privacy: createPrivacy(parseKeyRing(bed.identityKey)) }, did, notBefore);
}

/** Makes one call with a token issued at this second; `claims` may omit `iat`. @returns the status or error name. */
async function call(client: XrpcClient, issuedAtSeconds: number, claims: { iat?: undefined } = {}): Promise<unknown> {
  const target = { aud: client.server.serviceDid, lxm: `blue.catbird.mls.${method}` };
  const times = { iat: issuedAtSeconds, exp: issuedAtSeconds + 240 };
  const response = await client.raw(method, { token: client.account.mintToken({ ...target, ...times, ...claims }) });
  return response.status === 200 ? 200 : errorNameOf(response);
}

const secondsNow = (): number => Math.floor(Date.now() / 1_000);
const dateOf = (seconds: number): Date => new Date(seconds * 1_000);

describe('tokens from before a time set by an operator', () => {
  test('are refused on every server; later tokens and those of other accounts are accepted', async () => {
    const account = bed.account();
    const [first = expect.fail(), second = expect.fail()] = [0, 1].map((server) => bed.client({ account, server }));
    const moment = secondsNow() - 30;
    expect(await call(first, moment - 20)).toBe(200);
    const said = await admin('not-before', account.did, '--at', dateOf(moment).toISOString());
    expect(said).toBe(`Tokens issued before ${dateOf(moment).toISOString()} are refused.`);
    expect([await call(first, moment - 20), await call(second, moment - 1)]).toEqual(['JwtRevoked', 'JwtRevoked']);
    expect([await call(first, moment), await call(second, moment + 1)]).toEqual([200, 200]);
    expect(await call(bed.client(), moment - 20)).toBe(200);
  });

  test('without iat count as issued at the longest allowed lifetime before exp', async () => {
    const client = bed.client();
    const moment = secondsNow() - 60;
    await refuse(client.did, dateOf(moment));
    expect(await call(client, moment + 59, { iat: undefined })).toBe('JwtRevoked');
    expect(await call(client, moment + 60, { iat: undefined })).toBe(200);
  });

  test('are accepted again when the time is cleared, and a later time replaces an earlier one', async () => {
    const client = bed.client();
    const issuedAt = secondsNow() - 5;
    await admin('not-before', client.did);
    expect(await call(client, issuedAt)).toBe('JwtRevoked');
    await refuse(client.did, dateOf(issuedAt - 5));
    expect(await call(client, issuedAt)).toBe(200);
    await refuse(client.did, 'now');
    expect(await call(client, issuedAt)).toBe('JwtRevoked');
    expect(await admin('not-before', client.did, '--clear')).toBe('Tokens of the account are accepted again.');
    expect(await call(client, issuedAt)).toBe(200);
    expect(await admin('not-before', client.did, '--clear')).toBe('Nothing was refused.');
  });

  test('are refused in a batch with accepted tokens', async () => {
    const [revoked, fine] = [bed.client(), bed.client()];
    const moment = secondsNow() - 10;
    await refuse(revoked.did, dateOf(moment));
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        call(index % 2 === 0 ? revoked : fine, index % 4 < 2 ? moment - 10 : moment + 5),
      ),
    );
    expect(outcomes).toEqual(outcomes.map((_, index) => (index % 4 === 0 ? 'JwtRevoked' : 200)));
  });

  test('the command reports invalid arguments', async () => {
    await expect(admin('not-before', 'alice.example')).rejects.toThrow('Give a bare DID');
    await expect(admin('not-before', bed.account().did, '--at', 'yesterday')).rejects.toThrow('Give --at as');
  });
});

test('all tokens of a suspended account are refused until it is resumed', async () => {
  const client = bed.client();
  await admin('suspend', client.did);
  expect([await call(client, secondsNow()), await call(client, secondsNow() + 25)]).toEqual([
    'JwtRevoked',
    'JwtRevoked',
  ]);
  await admin('resume', client.did);
  expect(await call(client, secondsNow())).toBe(200);
});

describe('tickets and open streams', () => {
  test('an earlier ticket is refused', async () => {
    const client = bed.client();
    const { ticket } = await client.call('getSubscriptionTicket', {});
    await refuse(client.did, dateOf(secondsNow() + 1));
    const refused = await openRawSocket(client, { ticket }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(StreamRefused);
    expect(refused).toMatchObject({ status: 401, error: 'BadTicket' });
  });

  test('streams end on both transports, and the streams of other accounts stay open', { timeout: 40_000 }, async () => {
    const [client, other] = [bed.client({ server: 1 }), bed.client({ server: 1 })];
    const [socket, bystander] = await Promise.all([openRawSocket(client), openRawSocket(other)]);
    const sse = await openRawServerSentEvents(client);
    await refuse(client.did, 'forever');
    const overdue = AbortSignal.timeout(endWithinMs);
    const late = new Promise<'late'>((resolve) => overdue.addEventListener('abort', () => resolve('late')));
    expect(await Promise.race([socket.closed, late])).toEqual({ code: 1008, reason: 'JwtRevoked' });
    expect(socket.error).toMatchObject({ error: 'JwtRevoked' });
    expect(await Promise.race([sse.ended, late])).toBe('complete');
    expect(sse.events.at(-1)).toMatchObject({ info: expect.stringContaining('JwtRevoked') as string });
    const closed = await Promise.race([bystander.closed, Promise.resolve('open')]);
    expect(closed).toBe('open');
    await bystander.close();
  });
});

describe('at rest', () => {
  test('a pseudonym is stored until all such tokens have expired; a suspension stays', async () => {
    const [client, suspended] = [bed.client(), bed.client()];
    await refuse(client.did, dateOf(secondsNow() + 60));
    await refuse(suspended.did, 'forever');
    const scanner = createLeakScanner([client.did, suspended.did]);
    const dump = [...(await dumpTables(bed.database.sql))].filter(([table]) => /token_not_before|operator/.test(table));
    expect(dump.length).toBeGreaterThan(1);
    expect(dump.flatMap(([table, bytes]) => scanner.scan(table, bytes))).toEqual([]);
    await bed.database.sql`UPDATE token_not_before SET expires_at = now() - interval '1 second'
      WHERE expires_at < now() + interval '1 hour'`;
    expect(await runJob(bed.database, 'clean-replay-entries')).toBeGreaterThan(0);
    expect([await call(suspended, secondsNow()), await call(client, secondsNow())]).toEqual(['JwtRevoked', 200]);
  });

  test('the log contains no DID of the accounts', () => {
    const logged = bed.servers.flatMap(({ logLines }) => logLines).join('');
    expect(logged).not.toMatch(/did:|not_before|JwtRevoked/);
  });
});

test('tokens are refused also with ENFORCE_JTI=false', { timeout: 60_000 }, async () => {
  const server = await startChildServer('server', {
    ...testEnvironment({ plcUrl: bed.plc.url }),
    DATABASE_URL: bed.database.url,
    IDENTITY_KEY: bed.identityKey,
    ENFORCE_JTI: 'false',
  });
  try {
    const account = createAccount(bed.plc);
    const client = createXrpcClient({ server: { url: server.url, serviceDid: bed.server().serviceDid }, account });
    const moment = secondsNow() - 10;
    expect(await call(client, moment - 10)).toBe(200);
    await refuse(account.did, dateOf(moment));
    expect([await call(client, moment - 10), await call(client, moment)]).toEqual(['JwtRevoked', 200]);
  } finally {
    await server.end('SIGTERM');
  }
});
