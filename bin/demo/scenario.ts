import { isApiError } from '#client/api/api-error.ts';
import { unpad } from '#client/conversation/padding.ts';
import { readGroup } from '#client/conversation/records.ts';
import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';
import type { Sql } from '#storage/connection/database.ts';
import { createAccount } from '../../test/support/clients/account.ts';
import type { ServerAddress } from '../../test/support/clients/xrpc-client.ts';
import type { LoopbackPlc } from '../../test/support/network/loopback-plc.ts';
import type { DemoOutput } from './output.ts';
import { Person } from './person.ts';
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
export function createPeople(server: ServerAddress, plc: LoopbackPlc): People {
  return {
    alice: new Person('Alice', createAccount(plc), server),
    bob: new Person('Bob', createAccount(plc), server),
    carol: new Person('Carol', createAccount(plc, { curve: 'p256' }), server),
  };
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
  for (const person of [alice, bob, carol]) await person.connect();
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
  const convoId = await alice.messenger.createConversation([bob.did], { name: groupName });
  await bob.next('joined');
  output.show(
    [
      `Alice names it "${groupName}".`,
      'Bob gets an event at once, and joins with the Welcome.',
      `Both are in epoch ${epochOf(convoId, alice, bob)}.`,
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
  await alice.messenger.addMembers(convoId, [carol.did]);
  await carol.next('joined');
  await bob.next('epoch');
  const epoch = epochOf(convoId, alice, bob, carol);
  const line = await exchange(convoId, carol, 'Hello! What are we reading?', alice, bob);
  output.show(
    ['Carol gets an event on her open stream and joins.', `All three are in epoch ${epoch}.`, line],
    [...(await stored.conversation()), ...(await stored.members()), ...(await stored.messages(2))],
  );
}

async function reconnectBob({ alice, bob, carol, output, stored, convoId }: DemoState): Promise<void> {
  output.chapter('Bob loses his connection');
  await bob.disconnect();
  const missed = ['Page ninety!', 'No spoilers, please.', 'Too late.'];
  const speakers = [alice, carol, alice];
  for (const [index, text] of missed.entries()) await speakers[index]?.send(convoId, text);
  const before = [await carol.nextText(), await alice.nextText(), await carol.nextText()];
  await bob.connect();
  const caughtUp = [await bob.nextText(), await bob.nextText(), await bob.nextText()];
  expectThat(caughtUp.join() === missed.join(), 'Bob did not get exactly what he missed');
  expectThat(before.join() === missed.join(), 'the others got different messages');
  output.show(
    ['Bob reconnects with his cursor and gets:', ...caughtUp.map((text) => `  "${text}"`)],
    await stored.messages(4),
  );
}

async function removeCarol({ alice, bob, carol, output, stored, convoId }: DemoState): Promise<void> {
  output.chapter('Carol is removed');
  const { events: eventsOfCarol, stop } = await carol.listen();
  const earlierKeys = await readGroup(carol.storage, convoId);
  await alice.messenger.removeMember(convoId, carol.did);
  await bob.next('epoch');
  await carol.next('removed');
  await waitForSilence();
  const eventCount = eventsOfCarol.length;
  await alice.send(convoId, 'That was easier than I thought.');
  const line = `Alice: "${await bob.nextText()}"`;
  await waitForSilence();
  expectThat(eventCount > 0, 'Carol got no event of her removal');
  expectThat(eventsOfCarol.length === eventCount, 'Carol still gets events of the group');
  const refusal = await carol.api.call('getMessages', { convoId }).catch((error: unknown) => error);
  expectThat(isApiError(refusal, 'NotMember'), 'the server does not respond with NotMember to Carol');
  expectThat(earlierKeys !== undefined && carol.messenger.group(convoId) === undefined, 'Carol still has the group');
  expectThat(!(await canReadLast(alice, convoId, earlierKeys.state)), 'Carol can still decrypt');
  output.show(
    [
      line,
      'Carol: her stream gets no events, the server responds with "NotMember", and she cannot decrypt the new message.',
    ],
    [...(await stored.members()), ...(await stored.messages(7))],
  );
  stop();
  await Promise.all([alice, bob, carol].map((person) => person.disconnect()));
}

/** Whether a state of the group from before the last message can decrypt that message. */
async function canReadLast({ api }: Person, convoId: string, earlierState: Uint8Array): Promise<boolean> {
  const engine = await createTsMlsEngine();
  const { messages } = await api.call('getMessages', { convoId });
  const last = messages.at(-1)?.ciphertext;
  expectThat(last !== undefined, 'the last message is not stored');
  return engine.process(earlierState, unpad(last)).then(
    () => true,
    () => false,
  );
}

/** Returns the epoch in which all these people are. */
function epochOf(convoId: string, ...people: readonly Person[]): number {
  const epochs = people.map(({ messenger }) => messenger.group(convoId)?.epoch);
  const [epoch] = epochs;
  expectThat(epoch !== undefined && new Set(epochs).size === 1, 'the people are in different epochs');
  return epoch;
}

async function exchange(
  convoId: string,
  speaker: Person,
  text: string,
  ...listeners: readonly Person[]
): Promise<string> {
  await speaker.send(convoId, text);
  for (const listener of listeners)
    expectThat((await listener.nextText()) === text, `${listener.name} got a different text`);
  return `${speaker.name}: "${text}"`;
}

function expectThat(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new DemoFailure(otherwise);
}

function waitForSilence(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, silenceMs));
}
