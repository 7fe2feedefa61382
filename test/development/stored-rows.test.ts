import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApiClient } from '#client/api/api-client.ts';
import { openMessenger } from '#client/conversation/messenger.ts';
import type { Messenger } from '#client/conversation/messenger.ts';
import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';
import { createMemoryStorage } from '#client/storage/memory-storage.ts';
import { rowsShownMax } from '../../src/development/stored-rows.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

interface Table {
  readonly table: string;
  readonly rowCount: number;
  readonly rows: readonly Readonly<Record<string, string>>[];
}

const messageCount = rowsShownMax + 3;
const plaintext = 'the canary sings at dawn';
let bed: TestBed;
let dataDir: string;
let people: Messenger[];
let convoId: string;
let tables: readonly Table[];

async function ask(path: string, method = 'GET'): Promise<unknown> {
  const response = await fetch(`${bed.server().url}/dev/${path}`, { method });
  expect(response.status).toBe(200);
  return response.json();
}

async function open(name: string): Promise<Messenger> {
  const { did } = (await ask(`people?name=${name}`, 'POST')) as { did: string };
  const getToken = async (nsid: string): Promise<string> =>
    ((await ask(`token?as=${name}&lxm=${nsid}`)) as { token: string }).token;
  return openMessenger({
    api: createApiClient({ serviceUrl: bed.server().url, getToken }),
    did,
    engine: await createTsMlsEngine(),
    storage: createMemoryStorage(),
    deviceName: 'canary-device',
    keyPackageTarget: 2,
    onEvent: () => undefined,
  });
}

async function storedRows(id: string): Promise<readonly Table[]> {
  return ((await ask(`stored-rows?convoId=${id}`)) as { tables: Table[] }).tables;
}

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'nightjar-rows-'));
  bed = await startTestBed({ env: { DEVELOPMENT_IDENTITIES: 'true', DATA_DIR: dataDir } });
  people = [await open('alice'), await open('bob')];
  const [alice, bob] = people;
  if (alice === undefined || bob === undefined) throw new Error('there are no people');
  convoId = await alice.createConversation([bob.did], { name: 'canary-name' });
  for (let at = 0; at < messageCount; at++) await alice.send(convoId, new TextEncoder().encode(plaintext));
  tables = await storedRows(convoId);
});
afterAll(async () => {
  for (const person of people) await person.close();
  await bed.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const rowsOf = (name: string): Table => {
  const found = tables.find(({ table }) => table === name);
  if (found === undefined) throw new Error(`there is no table ${name}`);
  return found;
};

test('every table with rows of conversations is shown', async () => {
  const withGroupId = await bed.database.sql<{ name: string }[]>`
    SELECT c.relname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE a.attname = 'group_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND c.relnamespace = current_schema()::regnamespace`;
  expect(tables.map(({ table }) => table).toSorted()).toEqual(withGroupId.map(({ name }) => name).toSorted());
});

test('it shows the newest messages with all columns, the number of all rows, and no sender', () => {
  const { rowCount, rows } = rowsOf('messages');
  // The messages, and the commit that added Bob if there is one.
  expect(rowCount).toBeGreaterThanOrEqual(messageCount);
  expect(rows).toHaveLength(rowsShownMax);
  const seqs = rows.map(({ seq }) => Number(seq));
  expect(seqs).toEqual(Array.from(seqs, (_, index) => (seqs[0] ?? 0) - index));
  expect(seqs[0]).toBe(Number(rowsOf('conversation_counters').rows[0]?.['last_seq']));
  expect(Object.keys(rows[0] ?? {})).toEqual(['group_id', 'seq', 'epoch', 'kind', 'msg_id', 'received_at', 'body']);
});

test('members are rows with a pseudonym and a sealed DID', () => {
  expect(rowsOf('members').rowCount).toBe(2);
  for (const row of rowsOf('members').rows) {
    expect(row['member']).toMatch(/^[0-9a-f]{32}$/);
    expect(row['sealed_did']).toMatch(/^[0-9a-f]{64}… \(\d+ bytes\)$/);
  }
});

test('no row contains a DID, a device name, the name of the conversation, or a text', () => {
  const shown = JSON.stringify(tables);
  const secrets = [plaintext, 'canary-device', 'canary-name', ...people.map(({ did }) => did)];
  for (const secret of secrets) {
    expect(shown).not.toContain(secret);
    expect(shown).not.toContain(Buffer.from(secret).toString('hex'));
  }
});

test('each value is short, and the whole response is bounded', () => {
  const values = tables.flatMap(({ rows }) => rows.flatMap((row) => Object.values(row)));
  expect(values.length).toBeGreaterThan(100);
  expect(Math.max(...values.map(({ length }) => length))).toBeLessThanOrEqual(130);
});

test('a conversation that does not exist has no rows', async () => {
  const other = await storedRows('00'.repeat(16));
  expect(other.map(({ rowCount, rows }) => [rowCount, rows.length])).toEqual(other.map(() => [0, 0]));
});

test('no log line has the conversation or a DID', () => {
  const log = bed.server().logLines.join('\n');
  for (const canary of [convoId, ...people.map(({ did }) => did)]) expect(log).not.toContain(canary);
});
