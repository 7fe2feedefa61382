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
  readonly narrate: DemoOutput;
}

/** What was called what, for a test that looks for these names in the database. */
export interface ScenarioFacts {
  readonly convoId: string;
  readonly groupName: string;
}

interface Scene extends People {
  readonly narrate: DemoOutput;
  readonly stored: StoredRows;
  readonly convoId: string;
}

/** Something happened that must not. */
class DemoFailure extends Error {
  override readonly name = 'DemoFailure';
}

const groupName = 'Thursday reading circle';
const quietMs = 400;

/** Alice and Bob sign as most accounts do (secp256k1), Carol with P-256. */
export async function createPeople(server: ServerAddress, plc: LoopbackPlc): Promise<People> {
  const [alice, bob, carol] = await Promise.all([
    Person.create('Alice', { server, plc }),
    Person.create('Bob', { server, plc }),
    Person.create('Carol', { server, plc, account: { curve: 'p256' } }),
  ]);
  return { alice, bob, carol };
}

/** Plays the whole story against a running server; a step that goes otherwise than told throws. */
export async function runScenario({ server, people, narrate }: ScenarioParts): Promise<ScenarioFacts> {
  const stored = readStoredRows(server.database.sql);
  await register(people, narrate, stored);
  const convoId = await begin(people, narrate, stored);
  const scene: Scene = { ...people, narrate, stored, convoId };
  await talk(scene);
  await addCarol(scene);
  await missAndCatchUp(scene);
  await removeCarol(scene);
  narrate.chapter('What is left');
  narrate.show(
    ['Alice and Bob know each other, their group and every word of it.'],
    [...(await stored.totals()), 'No table has a column for a sender, and no name or DID stands anywhere in clear.'],
  );
  return { convoId, groupName };
}

async function register({ alice, bob, carol }: People, narrate: DemoOutput, stored: StoredRows): Promise<void> {
  narrate.chapter('Three people register a device each');
  for (const person of [alice, bob, carol]) {
    await person.register();
    await person.listen();
  }
  narrate.show(
    [alice, bob, carol].flatMap(({ name, deviceName, did }) => [
      `${name}, ${did.slice(0, 16)}…`,
      `  registers "${deviceName}"`,
    ]),
    [...(await stored.devices()), ...(await stored.keyPackages())],
  );
}

async function begin({ alice, bob }: People, narrate: DemoOutput, stored: StoredRows): Promise<string> {
  narrate.chapter('Alice starts a group with Bob');
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
  narrate.show(
    [
      `Alice names it "${groupName}".`,
      'Bob is told at once, and joins with the Welcome.',
      `Both are in epoch ${bob.mls.epoch}.`,
    ],
    [...(await stored.conversation()), ...(await stored.members()), ...(await stored.welcomes())],
  );
  return convoId;
}

async function talk({ alice, bob, narrate, stored, convoId }: Scene): Promise<void> {
  narrate.chapter('They talk');
  const lines = [
    await pass(convoId, alice, 'Have you started the new book?', bob),
    await pass(convoId, bob, 'Last night. I could not stop.', alice),
  ];
  narrate.show(lines, await stored.messages(0));
}

async function addCarol({ alice, bob, carol, narrate, stored, convoId }: Scene): Promise<void> {
  narrate.chapter('Alice adds Carol, who is listening already');
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
  await bob.follow();
  expectThat(alice.mls.epochAuthenticator === carol.mls.epochAuthenticator, 'Alice and Carol are in different epochs');
  expectThat(bob.mls.epochAuthenticator === carol.mls.epochAuthenticator, 'Bob and Carol are in different epochs');
  const line = await pass(convoId, carol, 'Hello! What are we reading?', alice, bob);
  narrate.show(
    ['Carol hears of it on her open stream and joins.', `All three are in epoch ${carol.mls.epoch}.`, line],
    [...(await stored.conversation()), ...(await stored.members()), ...(await stored.messages(2))],
  );
}

async function missAndCatchUp({ alice, bob, carol, narrate, stored, convoId }: Scene): Promise<void> {
  narrate.chapter('Bob is in a tunnel');
  const { cursor } = bob.stream;
  await bob.stream.close();
  const missed = ['Page ninety!', 'No spoilers, please.', 'Too late.'];
  const speakers = [alice, carol, alice];
  for (const [index, text] of missed.entries()) await speakers[index]?.say(convoId, text);
  const before = [await carol.hear(), await alice.hear(), await carol.hear()];
  await bob.listen(cursor);
  const caughtUp = [await bob.hear(), await bob.hear(), await bob.hear()];
  expectThat(caughtUp.join() === missed.join(), 'Bob did not get exactly what he missed');
  expectThat(before.join() === missed.join(), 'the others heard something else');
  narrate.show(
    ['Bob comes back with his cursor and gets:', ...caughtUp.map((text) => `  "${text}"`)],
    await stored.messages(4),
  );
}

async function removeCarol({ alice, bob, carol, narrate, stored, convoId }: Scene): Promise<void> {
  narrate.chapter('Carol is removed');
  const pending = await alice.mls.removeMember(carol.did);
  const commit = base64(pending.commit);
  await alice.client.call('removeMember', { convoId, targetDid: carol.did, idempotencyKey: newUuid(), commit });
  alice.mls.acceptCommit();
  await bob.follow();
  const { removed } = await carol.follow();
  await carol.stream.next('membershipChangeEvent', ({ did, action }) => did === carol.did && action === 'removed');
  expectThat(removed, 'the commit does not remove Carol');
  const heardByCarol = carol.stream.events.length;
  const ciphertext = await alice.say(convoId, 'That was easier than I thought.');
  const line = `Alice: "${await bob.hear()}"`;
  await quiet();
  expectThat(carol.stream.events.length === heardByCarol, 'Carol still hears the group');
  const refusal = await refusalOf(carol.client.call('getMessages', { convoId }));
  expectThat(refusal === 'NotMember', `Carol was answered ${refusal}`);
  expectThat(!(await canRead(carol, ciphertext)), 'Carol can still decrypt');
  narrate.show(
    [line, 'Carol: her stream is silent, the server answers "NotMember", and given the bytes she cannot decrypt them.'],
    [...(await stored.members()), ...(await stored.messages(7))],
  );
  await Promise.all([alice, bob, carol].map(({ stream }) => stream.close()));
}

async function pass(convoId: string, speaker: Person, text: string, ...listeners: readonly Person[]): Promise<string> {
  await speaker.say(convoId, text);
  for (const listener of listeners)
    expectThat((await listener.hear()) === text, `${listener.name} heard something else`);
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

function quiet(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, quietMs));
}

function base64(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('base64');
}
