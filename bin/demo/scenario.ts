import { newUuid } from '#platform/ids.ts';
import type { Sql } from '#storage/connection/database.ts';
import { XrpcFailure } from '../../test/support/clients/xrpc-client.ts';
import type { ServerAddress } from '../../test/support/clients/xrpc-client.ts';
import type { LoopbackPlc } from '../../test/support/network/loopback-plc.ts';
import type { DemoOutput } from './output.ts';
import { demoSuite, Person } from './person.ts';
import { readStoredRows } from './stored-rows.ts';
import type { StoredRows } from './stored-rows.ts';

export interface People {
  readonly alice: Person;
  readonly bob: Person;
  readonly carol: Person;
}

export interface ScenarioParts {
  readonly server: ServerAddress & { readonly database: { readonly sql: Sql } };
  readonly people: People;
  readonly output: DemoOutput;
}

/** The names that a test searches for in the database after the demo. */
export interface ScenarioFacts {
  readonly convoId: string;
  readonly groupName: string;
}

interface DemoState extends People {
  readonly output: DemoOutput;
  readonly stored: StoredRows;
  readonly convoId: string;
}

/** The error of a demo step that had an unexpected result. */
class DemoFailure extends Error {
  override readonly name = 'DemoFailure';
}

const groupName = 'Thursday reading circle';
const silenceMs = 400;

/**
 * Creates the people of the demo. Alice and Bob sign with secp256k1, like most accounts, and Carol signs with P-256.
 */
export async function createPeople(server: ServerAddress, plc: LoopbackPlc): Promise<People> {
  const [alice, bob, carol] = await Promise.all([
    Person.create('Alice', { server, plc }),
    Person.create('Bob', { server, plc }),
    Person.create('Carol', { server, plc, account: { curve: 'p256' } }),
  ]);
  return { alice, bob, carol };
}

/**
 * Runs the whole demo against a running server.
 * @throws DemoFailure when a step has an unexpected result.
 */
export async function runScenario({ server, people, output }: ScenarioParts): Promise<ScenarioFacts> {
  const stored = readStoredRows(server.database.sql);
  await register(people, output, stored);
  const convoId = await begin(people, output, stored);
  const state: DemoState = { ...people, output, stored, convoId };
  await exchangeMessages(state);
  await addCarol(state);
  await reconnectBob(state);
  await removeCarol(state);
  output.chapter('What is stored at the end');
  output.show(
    ['Alice and Bob have their group and can read all of its messages.'],
    [...(await stored.totals()), 'No table has a column for a sender, and no table contains a name or DID in clear.'],
  );
  return { convoId, groupName };
}

async function register({ alice, bob, carol }: People, output: DemoOutput, stored: StoredRows): Promise<void> {
  output.chapter('Three people register a device each');
  for (const person of [alice, bob, carol]) {
    await person.register();
    await person.listen();
  }
  output.show(
    [alice, bob, carol].flatMap(({ name, deviceName, did }) => [
      `${name}, ${did.slice(0, 16)}…`,
      `  registers "${deviceName}"`,
    ]),
    [...(await stored.devices()), ...(await stored.keyPackages())],
  );
}

async function begin({ alice, bob }: People, output: DemoOutput, stored: StoredRows): Promise<string> {
  output.chapter('Alice starts a group with Bob');
  const convoId = await alice.startGroup();
  const pending = await alice.mls.addMembers(await alice.fetchKeyPackages(bob));
  await alice.client.call('createConvo', {
    groupId: convoId,
    cipherSuite: demoSuite,
    initialMembers: [bob.did],
    welcomeMessage: base64(pending.welcome),
    groupInfo: base64(pending.groupInfo),
    metadata: { name: groupName },
  });
  alice.mls.acceptCommit();
  await bob.join(convoId);
  output.show(
    [
      `Alice names it "${groupName}".`,
      'Bob gets an event at once, and joins with the Welcome.',
      `Both are in epoch ${bob.mls.epoch}.`,
    ],
    [...(await stored.conversation()), ...(await stored.members()), ...(await stored.welcomes())],
  );
  return convoId;
}

async function exchangeMessages({ alice, bob, output, stored, convoId }: DemoState): Promise<void> {
  output.chapter('They exchange messages');
  const lines = [
    await exchange(convoId, alice, 'Have you started the new book?', bob),
    await exchange(convoId, bob, 'Last night. I could not stop.', alice),
  ];
  output.show(lines, await stored.messages(0));
}

async function addCarol({ alice, bob, carol, output, stored, convoId }: DemoState): Promise<void> {
  output.chapter('Alice adds Carol, whose event stream is open');
  const pending = await alice.mls.addMembers(await alice.fetchKeyPackages(carol));
  await alice.client.call('addMembers', {
    convoId,
    didList: [carol.did],
    commit: base64(pending.commit),
    welcomeMessage: base64(pending.welcome),
    groupInfo: base64(pending.groupInfo),
  });
  alice.mls.acceptCommit();
  await carol.join(convoId);
  await bob.applyNextCommit();
  expectThat(alice.mls.epochAuthenticator === carol.mls.epochAuthenticator, 'Alice and Carol are in different epochs');
  expectThat(bob.mls.epochAuthenticator === carol.mls.epochAuthenticator, 'Bob and Carol are in different epochs');
  const line = await exchange(convoId, carol, 'Hello! What are we reading?', alice, bob);
  output.show(
    ['Carol gets an event on her open stream and joins.', `All three are in epoch ${carol.mls.epoch}.`, line],
    [...(await stored.conversation()), ...(await stored.members()), ...(await stored.messages(2))],
  );
}

async function reconnectBob({ alice, bob, carol, output, stored, convoId }: DemoState): Promise<void> {
  output.chapter('Bob loses his connection');
  const { cursor } = bob.stream;
  await bob.stream.close();
  const missed = ['Page ninety!', 'No spoilers, please.', 'Too late.'];
  const speakers = [alice, carol, alice];
  for (const [index, text] of missed.entries()) await speakers[index]?.send(convoId, text);
  const before = [await carol.receiveText(), await alice.receiveText(), await carol.receiveText()];
  await bob.listen(cursor);
  const caughtUp = [await bob.receiveText(), await bob.receiveText(), await bob.receiveText()];
  expectThat(caughtUp.join() === missed.join(), 'Bob did not get exactly what he missed');
  expectThat(before.join() === missed.join(), 'the others got different messages');
  output.show(
    ['Bob reconnects with his cursor and gets:', ...caughtUp.map((text) => `  "${text}"`)],
    await stored.messages(4),
  );
}

async function removeCarol({ alice, bob, carol, output, stored, convoId }: DemoState): Promise<void> {
  output.chapter('Carol is removed');
  const pending = await alice.mls.removeMember(carol.did);
  const commit = base64(pending.commit);
  await alice.client.call('removeMember', { convoId, targetDid: carol.did, idempotencyKey: newUuid(), commit });
  alice.mls.acceptCommit();
  await bob.applyNextCommit();
  const { removed } = await carol.applyNextCommit();
  await carol.stream.next('membershipChangeEvent', ({ did, action }) => did === carol.did && action === 'removed');
  expectThat(removed, 'the commit does not remove Carol');
  const eventsOfCarol = carol.stream.events.length;
  const ciphertext = await alice.send(convoId, 'That was easier than I thought.');
  const line = `Alice: "${await bob.receiveText()}"`;
  await waitForSilence();
  expectThat(carol.stream.events.length === eventsOfCarol, 'Carol still gets events of the group');
  const refusal = await refusalOf(carol.client.call('getMessages', { convoId }));
  expectThat(refusal === 'NotMember', `Carol got the response ${refusal}`);
  expectThat(!(await canRead(carol, ciphertext)), 'Carol can still decrypt');
  output.show(
    [
      line,
      'Carol: her stream gets no events, the server responds with "NotMember", and she cannot decrypt the new message.',
    ],
    [...(await stored.members()), ...(await stored.messages(7))],
  );
  await Promise.all([alice, bob, carol].map(({ stream }) => stream.close()));
}

async function exchange(
  convoId: string,
  speaker: Person,
  text: string,
  ...listeners: readonly Person[]
): Promise<string> {
  await speaker.send(convoId, text);
  for (const listener of listeners)
    expectThat((await listener.receiveText()) === text, `${listener.name} got a different text`);
  return `${speaker.name}: "${text}"`;
}

function expectThat(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new DemoFailure(otherwise);
}

async function refusalOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'a page';
  } catch (error) {
    if (error instanceof XrpcFailure) return error.error;
    throw error;
  }
}

async function canRead(person: Person, ciphertext: Uint8Array): Promise<boolean> {
  return person.mls.receive(ciphertext).then(
    () => true,
    () => false,
  );
}

function waitForSilence(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, silenceMs));
}

function base64(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('base64');
}
