import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { readAuditEvents } from '#storage/rows/audit-events.ts';
import { craftedSuite, createCraftedConversation } from '../support/mls/crafted-conversation.ts';
import { openRawSocket } from '../support/clients/raw-streams.ts';
import { createLeakScanner, dumpTables } from '../support/privacy/leak-scanner.ts';
import { childEnvironment } from '../support/processes/child-environment.ts';
import { startTestBed, startTestServer } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { projectRoot } from '../conventions/source-tree.ts';

let bed: TestBed | undefined;
afterEach(async () => {
  await bed?.stop();
  bed = undefined;
});

async function start(options: { servers?: number; env?: Record<string, string> } = {}): Promise<TestBed> {
  return (bed = await startTestBed(options));
}

/** The counts that servers wrote, by kind and subject; each server writes when it stops. */
async function totals(of: TestBed): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const { kind, subject, count } of await readAuditEvents(of.database.db, 3_600)) {
    sums[`${kind} ${subject}`] = count + (sums[`${kind} ${subject}`] ?? 0);
  }
  return sums;
}

const nsid = (method: string): string => `blue.catbird.mls.${method}`;
const address = '203.0.113.77';
const network = '2001:db8:77:1';

test('failures of every kind on two servers are counted, without the people and addresses that caused them', async () => {
  const limits = {
    RATE_LIMIT_REPORT_MEMBER: '1',
    TRUSTED_PROXY_CIDRS: '127.0.0.1/32',
    CLIENT_DENY_CIDRS: '198.51.100.0/24',
  };
  const running = await start({ servers: 2, env: { ...limits, AUTH_BAN_AFTER_FAILURES: '5' } });
  const [first, second] = [running.client(), running.client({ server: 1 })];
  const at = (from: string) => ({ 'x-forwarded-for': from });
  const convoId = '7a'.repeat(16);
  const created = await first.raw('createConvo', {
    body: JSON.stringify({ groupId: convoId, cipherSuite: craftedSuite, initialMembers: [second.did] }),
    headers: at(address),
  });
  expect(created.status).toBe(200);
  const lxm = nsid('getEpoch');
  const search = `?convoId=${convoId}`;
  const send = async (client: typeof first, token: string, from = address): Promise<number> =>
    (await client.raw('getEpoch', { token, search, headers: at(from) })).status;
  const nowSeconds = Math.floor(Date.now() / 1_000);

  for (const client of [first, second]) {
    const { account } = client;
    const used = client.token('getEpoch');
    expect([await send(client, used), await send(client, used)]).toEqual([200, 401]);
    expect(await send(client, account.mintToken({ lxm, aud: 'did:web:elsewhere.test' }))).toBe(401);
    expect(
      await send(
        client,
        account.mintToken({ lxm, aud: client.server.serviceDid, iat: nowSeconds - 900, exp: nowSeconds - 700 }),
      ),
    ).toBe(401);
    expect(await send(client, client.token('getConvos'))).toBe(401);
    expect(await send(client, client.token('getEpoch'), 'nonsense')).toBe(400);
    expect(await send(client, client.token('getEpoch'), '198.51.100.1')).toBe(403);
    const report = await client.raw('reportMember', { body: '{}', headers: at(address) });
    const limited = await client.raw('reportMember', { body: '{}', headers: at(address) });
    expect([report.status, limited.status]).toEqual([400, 429]);
  }
  const forged = second.token('getEpoch').slice(0, -4);
  const forgedStatuses: number[] = [];
  for (let nth = 0; nth < 10; nth++) forgedStatuses.push(await send(second, `${forged}AAA${nth}`, `${network}::9`));
  expect(forgedStatuses.at(-1)).toBe(429);

  const logged = running.servers.flatMap(({ logLines }) => logLines).join('');
  await Promise.all(running.servers.map((server) => server.stop()));
  const written = await totals(running);
  expect(written).toMatchObject({
    'auth_failure JwtReplayed': 2,
    'auth_failure BadJwtAudience': 2,
    'auth_failure JwtExpired': 2,
    'auth_failure BadJwtLexiconMethod': 2,
    'address_refused UnknownAddress': 2,
    'address_refused AddressRefused': 2,
    'limit_hit reportMember': 2,
    'ban address': 1,
    'server started': 2,
    'server stopped': 2,
    'configuration NODE_ENV': 2,
    'configuration IDENTITY_ALLOW_PRIVATE_NETWORK': 2,
    'configuration BLOCK_CHECKS': 2,
  });
  expect(Object.keys(written).filter((word) => word.endsWith('unknown'))).toEqual([]);

  const names = [first.did, second.did, address, `${network}::9`, convoId, '198.51.100.1', 'nonsense', 'forged'];
  const scanner = createLeakScanner(names);
  const dump = await dumpTables(running.database.sql);
  const audit = [...dump].filter(([table]) => /audit_events|operator_actions/.test(table));
  expect(audit).toHaveLength(4);
  expect(audit.flatMap(([table, bytes]) => scanner.scan(table, bytes))).toEqual([]);
  for (const word of ['auth_failure', 'limit_hit', 'JwtReplayed', 'reportMember', 'ban"'])
    expect(logged).not.toContain(word);
});

test('normal use records only the start and the stop', async () => {
  const running = await start();
  const people = [running.client(), running.client()];
  const [creator] = people;
  if (creator === undefined) throw new Error('there is no creator');
  const { convoId } = await createCraftedConversation(creator, people.slice(1));
  for (const person of people) await person.call('getMessages', { convoId });
  // A request for a missing conversation is not counted.
  expect((await creator.refusal('getEpoch', { convoId: 'ab'.repeat(16) })).status).toBe(404);
  await running.server().stop();
  const kinds = Object.keys(await totals(running)).filter((word) => !word.startsWith('configuration '));
  expect(kinds).toEqual(['server started', 'server stopped']);
});

test('a server with another identity key records the mismatch before it exits', async () => {
  const running = await start();
  const wrong = { databaseUrl: running.database.url, plcUrl: running.plc.url, identityKey: newKeyRingText() };
  await expect(startTestServer(wrong)).rejects.toThrow('IDENTITY_KEY');
  expect(await totals(running)).toMatchObject({ 'identity_key mismatch': 1, 'server stopped': 1 });
});

interface Exit {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function admin(of: TestBed, identityKey: string, ...args: string[]): Promise<Exit> {
  const env = { ...childEnvironment, DATABASE_URL: of.database.url, IDENTITY_KEY: identityKey };
  const command = [join(projectRoot, 'bin/admin.ts'), ...args];
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, command, { cwd: projectRoot, env })) };
  } catch (error) {
    return error as Exit;
  }
}

test('an operator can list counts and actions, and verify detects a broken chain', { timeout: 40_000 }, async () => {
  const running = await start();
  await running.client().raw('getEpoch', { token: 'none' });
  await expect(openRawSocket(running.client(), { ticket: 'forged' })).rejects.toThrow('BadTicket');
  await running.server().stop();
  const run = (...args: string[]): Promise<Exit> => admin(running, running.identityKey, ...args);
  expect((await run('jobs', 'run', 'clean-invites')).code).toBe(0);
  expect((await run('jobs', 'run', 'no-such-job')).code).toBe(1);
  const wrongKey = await admin(running, newKeyRingText(), 'jobs', 'run', 'clean-invites');
  expect([wrongKey.code !== 0, wrongKey.stderr]).toEqual([true, expect.stringContaining('IDENTITY_KEY')]);
  expect((await run('jobs', 'run', 'clean-reports')).code).toBe(0);

  const listed = (await run('audit', 'list', '--since', '1h', '--json')).stdout.trim().split('\n');
  const lines = listed.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toContainEqual({ at: expect.any(String), kind: 'auth_failure', subject: 'BadJwt', count: 1 });
  expect(lines).toContainEqual({ at: expect.any(String), kind: 'auth_failure', subject: 'BadTicket', count: 1 });
  expect(lines.filter(({ kind }) => kind === 'operator')).toEqual([
    { at: expect.any(String), kind: 'operator', action: 'jobs.run', subject: 'clean-invites', actionNo: 1 },
    { at: expect.any(String), kind: 'operator', action: 'jobs.run', subject: 'clean-reports', actionNo: 2 },
  ]);
  expect(await run('audit', 'list', '--since', 'yesterday')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('24h'),
  });

  const whole = await run('audit', 'verify', '--at-least', '2');
  expect([whole.code, JSON.parse(whole.stdout)]).toEqual([
    0,
    { count: 2, firstNo: 1, lastNo: 2, broken: [], uncheckable: [] },
  ]);
  await running.database.sql`DELETE FROM operator_actions WHERE action_no = 2`;
  expect((await run('audit', 'verify')).code).toBe(0);
  expect(await run('audit', 'verify', '--at-least', '2')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('#2'),
  });
  await running.database.sql`ALTER TABLE operator_actions DISABLE TRIGGER operator_actions_stay`;
  await running.database.sql`UPDATE operator_actions SET subject = 'clean-welcomes'`;
  expect(await run('audit', 'verify')).toMatchObject({ code: 1, stderr: expect.stringContaining('broken at #1') });
});
