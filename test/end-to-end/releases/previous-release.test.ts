import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ConversationEvent } from '#client/conversation/conversation-event.ts';
import { openMessenger } from '#client/conversation/messenger.ts';
import type { Messenger } from '#client/conversation/messenger.ts';
import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';
import { createMemoryStorage } from '#client/storage/memory-storage.ts';
import { jobNames, retiredJobs } from '#jobs/catalogue.ts';
import { systemClock } from '#platform/clock.ts';
import { newUuid } from '#platform/ids.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { migrateUp, migrationFolder } from '#storage/schema/migrator.ts';
import { clientApi } from '../../client/client-api.ts';
import { createAccount } from '../../support/clients/account.ts';
import type { Account } from '../../support/clients/account.ts';
import { startChildServer } from '../../support/processes/child-server.ts';
import type { ChildServer } from '../../support/processes/child-server.ts';
import { createCraftedConversation, sendCrafted } from '../../support/mls/crafted-conversation.ts';
import { createTestDatabase } from '../../support/postgres/database.ts';
import type { TestDatabase } from '../../support/postgres/database.ts';
import { openEventStream } from '../../support/clients/event-stream.ts';
import { openRawSocket } from '../../support/clients/raw-streams.ts';
import { startLoopbackPlc } from '../../support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../../support/network/loopback-plc.ts';
import { hasPreviousRelease, unpackPreviousRelease } from '../../support/processes/previous-release.ts';
import type { PreviousRelease } from '../../support/processes/previous-release.ts';
import { publishTestPackage, registerTestDevice } from '../../support/clients/register-device.ts';
import { readShape } from '../../support/postgres/schema-shape.ts';
import { startTestServer, testEnvironment } from '../../support/test-server.ts';
import type { TestServer } from '../../support/test-server.ts';
import { recordRuns, recordedRuns, WorkerProcesses } from '../../support/processes/worker-processes.ts';
import { createXrpcClient } from '../../support/clients/xrpc-client.ts';
import type { ServerAddress, XrpcClient } from '../../support/clients/xrpc-client.ts';

/** The methods of the previous release; its clients call no others. */
let previousMethods: ReadonlySet<string>;
const identityKey = newKeyRingText();
let release: PreviousRelease;
let plc: LoopbackPlc;
let database: TestDatabase;
/** Has run since before the current migrations. */
let previous: ChildServer;
/** A second server of the previous release, started on the current schema. */
let previousAgain: ChildServer;
let today: TestServer;

function startPrevious(): Promise<ChildServer> {
  const env = { ...testEnvironment({ plcUrl: plc.url }), DATABASE_URL: database.url, IDENTITY_KEY: identityKey };
  return startChildServer('server', release.settingsOf(env), release.folder);
}

function clientOf(server: 'previous' | 'today', account: Account): XrpcClient {
  const url = server === 'today' ? today.url : (previousAgain ?? previous).url;
  return createXrpcClient({ server: { url, serviceDid: serviceDid() }, account });
}

function serviceDid(): string {
  return testEnvironment({ plcUrl: plc.url })['SERVICE_DID'] ?? '';
}

/** Alternates between the two releases from request to request, like a load balancer. */
function alternatingFetch(): typeof fetch {
  let requestCount = 0;
  return (input, init) => {
    const { pathname, search } = new URL(input instanceof Request ? input.url : input);
    const isKnown = previousMethods.has(pathname.split('.').at(-1) ?? '');
    const { url } = isKnown && requestCount++ % 2 === 0 ? previousAgain : today;
    return fetch(`${url}${pathname}${search}`, init);
  };
}

interface Device {
  readonly messenger: Messenger;
  texts(convoId: string): string[];
}

/** Opens the messenger of a new person, whose WebSocket opens at the named server. */
async function openDevice(streamsFrom: 'previous' | 'today'): Promise<Device> {
  const account = createAccount(plc);
  const { server } = clientOf(streamsFrom, account);
  const events: ConversationEvent[] = [];
  const messenger = await openMessenger({
    api: clientApi(account, server, { fetch: alternatingFetch() }),
    did: account.did,
    engine: await createTsMlsEngine(),
    storage: createMemoryStorage(),
    deviceName: 'telephone',
    stream: { transport: 'websocket' },
    onEvent: (event) => void events.push(event),
  });
  const decoder = new TextDecoder();
  return {
    messenger,
    texts: (convoId) =>
      events.flatMap((event) =>
        event.kind === 'message' && event.convoId === convoId ? [decoder.decode(event.content)] : [],
      ),
  };
}

beforeAll(async () => {
  if (!hasPreviousRelease) return;
  release = await unpackPreviousRelease();
  const lexicons = await readdir(join(release.folder, 'lexicons/blue/catbird/mls'));
  previousMethods = new Set(lexicons.map((file) => file.replace('.json', '')));
  plc = await startLoopbackPlc();
  database = await createTestDatabase({ schema: 'empty', poolSize: 3 });
  await release.migrateUp(database.url);
  previous = await startPrevious();
}, 60_000);

afterAll(async () => {
  await Promise.all([previous?.end('SIGTERM'), previousAgain?.end('SIGTERM'), today?.stop()]);
  await plc?.close();
  await database?.close();
  await release?.remove();
});

describe.skipIf(!hasPreviousRelease)('next to the previous release (git history needed)', () => {
  test('its server stays ready during the migrations, and no message is lost', async () => {
    const server: ServerAddress = { url: previous.url, serviceDid: serviceDid() };
    const [alice, bob] = [createAccount(plc), createAccount(plc)].map((account) =>
      createXrpcClient({ server, account }),
    );
    if (alice === undefined || bob === undefined) throw new RangeError('two are needed');
    await registerTestDevice(bob);
    const conversation = await createCraftedConversation(alice, [bob]);
    const stream = await openEventStream(bob);
    const sent: number[] = [];
    let isMigrated = false;
    const sending = (async () => {
      while (!isMigrated || sent.length < 20) sent.push((await sendCrafted(alice, conversation)).seq);
    })();
    const [known, ours] = await Promise.all([readdir(join(release.folder, 'migrations')), readdir(migrationFolder)]);
    expect(await migrateUp(database)).toEqual(
      ours.filter((file) => !known.includes(file)).map((file) => file.replace('.ts', '')),
    );
    isMigrated = true;
    await sending;
    expect(sent).toEqual(sent.map((_, index) => index + 1));
    await stream.next('messageEvent', ({ message }) => message.seq === sent.length);
    const heard = stream.events.flatMap((event) => ('message' in event ? [event.message.seq] : []));
    expect(heard).toEqual(sent);
    await stream.close();
    expect((await fetch(`${previous.url}/readyz`)).status).toBe(200);
  });

  test('the migrated schema is the same as that of a new database', async () => {
    const fresh = await createTestDatabase({ poolSize: 1 });
    try {
      expect(await readShape(database.sql)).toEqual(await readShape(fresh.sql));
    } finally {
      await fresh.close();
    }
  });

  test('its server starts on that schema, and its migrator finds nothing to do', async () => {
    expect(await release.migrateUp(database.url)).toContain('"count":0');
    previousAgain = await startPrevious();
    expect((await fetch(`${previousAgain.url}/readyz`)).status).toBe(200);
    today = await startTestServer({ databaseUrl: database.url, plcUrl: plc.url, identityKey });
  }, 20_000);

  test('people whose requests alternate between both can join, send, add and remove', async () => {
    const [alice, bob, carol] = [await openDevice('previous'), await openDevice('today'), await openDevice('previous')];
    const expectGroup = async (convoId: string, ...devices: readonly Device[]): Promise<void> => {
      const sizes = (): unknown[] => devices.map(({ messenger }) => messenger.group(convoId)?.members.length);
      await expect.poll(sizes, { timeout: 10_000 }).toEqual(devices.map(() => devices.length));
    };
    const expectTexts = async (convoId: string, texts: readonly string[], ...devices: readonly Device[]) => {
      for (const device of devices) await expect.poll(() => device.texts(convoId), { timeout: 10_000 }).toEqual(texts);
    };
    const say = (device: Device, convoId: string, text: string): Promise<string> =>
      device.messenger.send(convoId, new TextEncoder().encode(text));
    const convoId = await alice.messenger.createConversation([bob.messenger.did]);
    await expectGroup(convoId, alice, bob);
    const texts = ['one', 'two', 'three', 'four'];
    for (const text of texts) await say(alice, convoId, text);
    await expectTexts(convoId, texts, alice, bob);
    await bob.messenger.addMembers(convoId, [carol.messenger.did]);
    await expectGroup(convoId, alice, bob, carol);
    await say(carol, convoId, 'five');
    await expectTexts(convoId, ['five'], carol);
    await expectTexts(convoId, [...texts, 'five'], alice, bob);
    await alice.messenger.removeMember(convoId, bob.messenger.did);
    await expectGroup(convoId, alice, carol);
    await expect.poll(() => bob.messenger.convoIds(), { timeout: 10_000 }).toEqual([]);
    await Promise.all([alice, bob, carol].map(({ messenger }) => messenger.close()));
  }, 60_000);

  test('a cursor, a ticket and a repeated message of one release are valid at the other', async () => {
    const [account, other] = [createAccount(plc), createAccount(plc)];
    const [sender, reader] = [clientOf('previous', account), clientOf('today', account)];
    const [there, here] = [clientOf('previous', other), clientOf('today', other)];
    const conversation = await createCraftedConversation(sender, [there]);
    const first = await openEventStream(there);
    const msgId = newUuid();
    const { seq } = await sendCrafted(sender, conversation, { msgId });
    await first.next('messageEvent', ({ message }) => message.seq === seq);
    await first.close();
    expect((await sendCrafted(reader, conversation, { msgId })).seq).toBe(seq);
    const { seq: missed } = await sendCrafted(reader, conversation);
    for (const [mint, url] of [
      [there, today.url],
      [here, previousAgain.url],
    ] as const) {
      const resumed = await openRawSocket(mint, { url, cursor: first.cursor });
      await resumed.next('messageEvent', ({ message }) => message.seq === missed);
      expect(resumed.events.length).toBe(1);
      await resumed.close();
    }
  });

  test('a change of role reaches members at a server of this release, streams of the other skip it, and lastMessageAt counts messages of both', async () => {
    const [account, other] = [createAccount(plc), createAccount(plc)];
    const alice = clientOf('today', account);
    const conversation = await createCraftedConversation(alice, [clientOf('today', other)]);
    const there = await openEventStream(clientOf('previous', other));
    const here = await openEventStream(clientOf('today', other));
    await alice.call('promoteAdmin', { convoId: conversation.convoId, targetDid: other.did });
    const { seq } = await sendCrafted(clientOf('previous', account), conversation);
    const [view] = (await alice.call('getConvos', {})).conversations;
    expect(view?.lastMessageAt, 'the time of a message that the other release stored').toBeDefined();
    for (const stream of [there, here]) await stream.next('messageEvent', ({ message }) => message.seq === seq);
    const actions = [there, here].map((stream) =>
      stream.events.flatMap((event) => ('action' in event && event.action === 'roleChanged' ? [event.did] : [])),
    );
    expect(actions).toEqual([[], [other.did]]);
    await Promise.all([there, here].map((stream) => stream.close()));
  });

  test('ephemeral messages reach subscribers of the other release', async () => {
    const [account, other] = [createAccount(plc), createAccount(plc)];
    const conversation = await createCraftedConversation(clientOf('today', account), [clientOf('today', other)]);
    for (const [sender, listener] of [
      ['today', 'previous'],
      ['previous', 'today'],
    ] as const) {
      const stream = await openEventStream(clientOf(listener, other));
      // The stream may still be opening until a stored message arrives, and ephemeral messages are not kept for it.
      const { seq } = await sendCrafted(clientOf(sender, account), conversation);
      await stream.next('messageEvent', ({ message }) => message.seq === seq);
      const { messageId } = await sendCrafted(clientOf(sender, account), conversation, { delivery: 'ephemeral' });
      await stream.next('messageEvent', ({ message }) => message.id === messageId);
      await stream.close();
    }
  });

  test('its streams continue after unknown events', async () => {
    const [account, other] = [createAccount(plc), createAccount(plc)];
    const conversation = await createCraftedConversation(clientOf('today', account), [clientOf('today', other)]);
    const stream = await openRawSocket(clientOf('previous', other));
    const { convoId } = conversation;
    await clientOf('today', account).call('warnMember', { convoId, memberDid: other.did, reason: 'Be kind.' });
    await clientOf('today', account).call('readdition', { convoId });
    const { seq } = await sendCrafted(clientOf('previous', account), conversation);
    await stream.next('messageEvent', ({ message }) => message.seq === seq);
    expect(stream.error).toBeUndefined();
    await stream.close();
  });

  test('its claims of key packages do not use up the reserve of a device', async () => {
    const owner = clientOf('previous', createAccount(plc));
    const device = await registerTestDevice(owner, { packages: 3 });
    const lastResort = await publishTestPackage(owner, device, { lastResort: 'extension' });
    const claimed: string[] = [];
    for (let nth = 0; nth < 4; nth++) {
      const claimer = clientOf('previous', createAccount(plc));
      const { keyPackages } = await claimer.call('getKeyPackages', { dids: [owner.did] });
      for (const { keyPackageHash = '' } of keyPackages) claimed.push(keyPackageHash);
    }
    expect(new Set(claimed.slice(0, 2)).size).toBe(2);
    expect(claimed.slice(2)).toEqual([lastResort, lastResort]);
    expect(claimed.slice(0, 2)).not.toContain(lastResort);
  });

  test('workers of both run each job once per interval, and delete only expired rows', async () => {
    const { sql } = database;
    const living = await countMessages();
    expect(living).toBeGreaterThan(20);
    await sql.unsafe(`
      CREATE TABLE messages_20200101_20200105 PARTITION OF messages FOR VALUES FROM ('2020-01-01') TO ('2020-01-05');
      INSERT INTO messages VALUES ('\\x01', 1, 0, 1, 'old', '2020-01-02', '\\x02');
      UPDATE key_packages SET expires_at = now() - interval '1 minute', kept_until = now() - interval '1 minute' WHERE state = 2`);
    const env = { DATABASE_URL: database.url, IDENTITY_KEY: identityKey, JOB_LEASE_MS: '1000' };
    const SCHEDULE = `*/${intervalSeconds} * * * * *`;
    const theirs = new WorkerProcesses({ ...release.settingsOf(env), SCHEDULE }, release.workerScript);
    const ours = new WorkerProcesses({ ...env, SCHEDULE });
    await recordRuns(sql);
    try {
      await Promise.all([theirs.start(), ours.start(), theirs.start(), ours.start()]);
      await systemClock.sleep(watchedSeconds * 1_000);
      await Promise.all([theirs.killAll(), ours.killAll()]);
    } finally {
      await Promise.all([theirs.killAll(), ours.killAll()]);
    }
    const recorded = await recordedRuns(sql);
    expect(recorded.filter(({ count, turns: different }) => count !== different)).toEqual([]);
    // The present workers remove the schedules of retired jobs at their start, which the previous workers may have run before.
    const present = recorded.filter(({ job }) => !retiredJobs.includes(job));
    expect(present.map(({ job }) => job)).toEqual([...jobNames].toSorted());
    for (const { count } of present) {
      // The first and the last interval are only partly watched, and a busy machine may be late with one.
      expect(count).toBeGreaterThanOrEqual(watchedSeconds / intervalSeconds - 2);
      expect(count).toBeLessThanOrEqual(watchedSeconds / intervalSeconds + 2);
    }
    expect(await countMessages()).toBe(living);
    expect(await sql`SELECT 1 FROM key_packages WHERE coalesce(kept_until, expires_at) < now()`).toEqual([]);
    expect(await sql`SELECT 1 FROM bullmq.job WHERE state = 'failed'`).toEqual([]);
  }, 30_000);
});

const intervalSeconds = 2;
const watchedSeconds = 6;

async function countMessages(): Promise<number> {
  const [row] = await database.sql<{ count: number }[]>`SELECT count(*) FROM messages`;
  return row?.count ?? 0;
}
