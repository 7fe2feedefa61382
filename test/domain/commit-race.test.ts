import { afterAll, beforeAll, expect, test } from 'vitest';
import { getEpoch } from '#domain/conversations/get-epoch.ts';
import { addMembers } from '#domain/membership/add-members.ts';
import { removeMember } from '#domain/membership/remove-member.ts';
import { listCommits, listMessages } from '#domain/messages/list-messages.ts';
import type { Message } from '#domain/messages/message.ts';
import { systemClock } from '#platform/clock.ts';
import { required } from '#platform/errors.ts';
import { craftCommit } from '../support/mls/crafted-mls.ts';
import { randomPeople, refusalOf, sendRandom, startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness, TestConversation, TestServer } from '../support/domain-harness.ts';

let harness: DomainHarness;
let servers: readonly [TestServer, TestServer];

beforeAll(async () => {
  harness = await startDomainHarness({ poolSize: 8 });
  servers = [harness.server, harness.addServer(8)];
});
afterAll(() => harness.close());

function commitOnly(server: TestServer, did: string, conversation: TestConversation, commit: Buffer): Promise<number> {
  const conversationId = conversation.id;
  return addMembers(server, { did }, { conversationId, dids: [], commit, welcome: undefined, groupInfo: undefined });
}

/** Sends a commit of the admin with removeMember; `targetDid` was removed before, so only the epoch changes. */
function commitRemoval(
  server: TestServer,
  conversation: TestConversation,
  targetDid: string,
  commit: Buffer,
): Promise<number> {
  return removeMember(server, { did: conversation.creator }, { conversationId: conversation.id, targetDid, commit });
}

async function readEverything(server: TestServer, did: string, conversationId: string): Promise<Message[]> {
  const all: Message[] = [];
  for (;;) {
    const { messages } = await listMessages(
      server,
      { did },
      { conversationId, sinceSeq: all.at(-1)?.seq ?? 0, limit: 100 },
    );
    if (messages.length === 0) return all;
    all.push(...messages);
  }
}

const epochs = 200;
const committers = 16;

// Safe because the epoch is compared under the conversation's row lock and raised in the same transaction.
test(
  '16 committers race over 200 epochs: one commit wins each epoch, and every refusal has the current epoch',
  { timeout: 60_000 },
  async () => {
    const [removed = '', ...people] = randomPeople(9);
    const conversation = await harness.createConversation([...people, removed]);
    await removeMember(
      harness.server,
      { did: conversation.creator },
      { conversationId: conversation.id, targetDid: removed, commit: undefined },
    );
    const wins: { epoch: number; bytes: Buffer; made: number }[] = [];
    let losses = 0;
    const race = async (index: number): Promise<void> => {
      const server = required(servers[index % 2], 'a server');
      for (let epoch = 0; epoch < epochs;) {
        const bytes = craftCommit(conversation.groupId, epoch);
        let made: number | undefined;
        const refusal = await refusalOf(
          (index < committers / 2
            ? commitOnly(server, people[index] ?? '', conversation, bytes)
            : commitRemoval(server, conversation, removed, bytes)
          ).then((value) => (made = value)),
        );
        if (made !== undefined) {
          wins.push({ epoch, bytes, made });
          epoch = made;
          continue;
        }
        losses += 1;
        expect(refusal.code).toBe('EpochMismatch');
        expect(refusal.currentEpoch).toBeGreaterThan(epoch);
        epoch = refusal.currentEpoch ?? epochs;
      }
    };
    await Promise.all(Array.from({ length: committers }, (_, index) => race(index)));
    // Every epoch below 200 has exactly one winner; no committer tries to end epoch 200.
    expect(wins.toSorted((a, b) => a.epoch - b.epoch).map(({ epoch, made }) => [epoch, made])).toEqual(
      Array.from({ length: epochs }, (_, index) => [index, index + 1]),
    );
    expect(losses, 'the committers did not race').toBeGreaterThan(epochs);

    const [reader = ''] = people;
    const commits = await readEverything(harness.server, reader, conversation.id);
    expect(commits.map(({ seq, epoch, kind }) => [seq, epoch, kind])).toEqual(
      Array.from({ length: epochs }, (_, index) => [index + 1, index + 1, 'commit']),
    );
    const bytesOfEpoch = new Map(wins.map(({ made, bytes }) => [made, bytes]));
    expect(commits.every(({ epoch, ciphertext }) => bytesOfEpoch.get(epoch)?.equals(ciphertext))).toBe(true);

    const retried = wins.filter((_, index) => index % 20 === 0);
    for (const { bytes, made } of retried) {
      const responses = await Promise.all(servers.map((server) => commitOnly(server, reader, conversation, bytes)));
      expect(responses).toEqual([made, made]);
    }
    expect(await getEpoch(harness.server, { did: reader }, conversation.id)).toBe(epochs);
  },
);

test('of the same commit sent 8 times at once one is stored, and all 8 calls return its epoch', async () => {
  const [alice = ''] = randomPeople(1);
  const conversation = await harness.createConversation([alice]);
  for (let epoch = 0; epoch < 10; epoch++) {
    const bytes = craftCommit(conversation.groupId, epoch);
    const responses = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        commitOnly(servers[index % 2] ?? harness.server, alice, conversation, bytes),
      ),
    );
    expect(new Set(responses)).toEqual(new Set([epoch + 1]));
  }
  expect(
    await listCommits(
      harness.server,
      { did: alice },
      { conversationId: conversation.id, fromEpoch: 0, toEpoch: undefined },
    ),
  ).toHaveLength(10);
});

test('a commit of another group, or with trailing bytes, changes nothing', async () => {
  const [alice = ''] = randomPeople(1);
  const conversation = await harness.createConversation([alice]);
  const other = await harness.createConversation([alice]);
  const good = craftCommit(conversation.groupId, 0);
  const bad = [
    craftCommit(other.groupId, 0),
    Buffer.concat([good, Buffer.of(0)]),
    good.subarray(0, -1),
    Buffer.alloc(0),
  ];
  for (const bytes of bad) {
    expect((await refusalOf(commitOnly(harness.server, alice, conversation, bytes))).code).toBe('InvalidCommit');
  }
  expect(
    await refusalOf(commitOnly(harness.server, alice, conversation, craftCommit(conversation.groupId, 1))),
  ).toEqual({
    code: 'EpochMismatch',
    currentEpoch: 0,
  });
  expect(await readEverything(harness.server, alice, conversation.id)).toEqual([]);
});

// Senders and committers take the same row lock, so the epoch that a send is compared with is the one in force at its
// seq.
test('of messages sent during commits each is stored in the epoch in force at its seq', async () => {
  const people = randomPeople(12);
  const conversation = await harness.createConversation(people);
  let current = 0;
  let stale = 0;
  const rounds = 60;
  const commitAll = async (): Promise<void> => {
    for (let epoch = 0; epoch < rounds; epoch++) {
      current = await commitOnly(
        harness.server,
        conversation.creator,
        conversation,
        craftCommit(conversation.groupId, epoch),
      );
      await systemClock.sleep(4);
    }
  };
  const sendAll = async (did: string, index: number): Promise<void> => {
    while (current < rounds) {
      const epoch = current;
      const refusal = await refusalOf(
        sendRandom(servers[index % 2] ?? harness.server, did, { id: conversation.id, epoch }),
      );
      if (refusal.code === 'none') continue;
      expect(refusal.code).toBe('EpochMismatch');
      expect(refusal.currentEpoch).toBeGreaterThan(epoch);
      stale += 1;
    }
  };
  await Promise.all([commitAll(), ...people.map(sendAll)]);
  const log = await readEverything(harness.server, conversation.creator, conversation.id);
  expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1));
  let inForce = 0;
  for (const { kind, epoch } of log) {
    if (kind === 'commit') inForce += 1;
    expect(epoch).toBe(inForce);
  }
  expect(inForce).toBe(rounds);
  expect(stale, 'no send met a commit').toBeGreaterThan(0);
  expect(log.length, 'hardly any send got in').toBeGreaterThan(rounds * 1.25);
});
