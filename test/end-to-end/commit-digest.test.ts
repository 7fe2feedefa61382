import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { required } from '#platform/errors.ts';
import { newSecret } from '#platform/ids.ts';
import { createCraftedConversation, sendCrafted } from '../support/mls/crafted-conversation.ts';
import { craftCommit, craftExternalCommit } from '../support/mls/crafted-mls.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
let alice: XrpcClient;
let bob: XrpcClient;
let carol: XrpcClient;
beforeAll(async () => {
  bed = await startTestBed();
  [alice, bob, carol] = [bed.client(), bed.client(), bed.client()];
});
afterAll(() => bed.stop());

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const hex = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString('hex');

interface CommitDigest {
  readonly epoch: number;
  readonly digest: string | undefined;
}
interface View {
  readonly epoch: number;
  readonly messageType?: string | undefined;
  readonly digest?: Uint8Array | undefined;
}

/** The commits among these messages; other messages have no digest. */
function commitsAmong(views: readonly View[]): CommitDigest[] {
  for (const { messageType, digest } of views) if (messageType !== 'commit') expect(digest).toBeUndefined();
  return views
    .filter(({ messageType }) => messageType === 'commit')
    .map(({ epoch, digest }) => ({ epoch, digest: hex(digest) }));
}

test('each committer can identify their own commit by digest and epoch in every response with commits', async () => {
  const { convoId, groupId } = await createCraftedConversation(alice, [bob]);
  const sockets = await Promise.all([alice, bob, carol].map((client) => openEventStream(client)));
  const responses = await Promise.all(
    [alice, bob, carol].map((client) => openEventStream(client, { transport: 'server-sent-events' })),
  );
  await sendCrafted(alice, { convoId, groupId });

  const added = craftCommit(groupId, 0);
  await alice.call('addMembers', { convoId, didList: [carol.did], commit: added.toString('base64') });
  const rejoined = craftExternalCommit({ groupId, epoch: 1, did: bob.did });
  await bob.call('processExternalCommit', { convoId, externalCommit: rejoined.toString('base64') });
  await sendCrafted(bob, { convoId, groupId }, { epoch: 2 });

  const made = [added, rejoined].map((commit, index) => ({ epoch: index + 1, digest: sha256(commit) }));
  for (const stream of [...sockets, ...responses]) {
    await stream.next('messageEvent', ({ message }) => message.convoId === convoId && message.seq === 4);
    const views = stream.events.flatMap((event) =>
      'message' in event && event.message.convoId === convoId ? [event.message] : [],
    );
    expect(commitsAmong(views)).toEqual(made);
  }
  for (const client of [alice, bob, carol]) {
    const { messages } = await client.call('getMessages', { convoId });
    expect(commitsAmong(messages)).toEqual(made);
    for (const { ciphertext, digest } of messages)
      if (digest !== undefined) expect(sha256(ciphertext)).toBe(hex(digest));
  }
  const { commits } = await alice.call('getCommits', { convoId, fromEpoch: 1 });
  expect(commits.map(({ epoch, digest }) => ({ epoch, digest: hex(digest) }))).toEqual(made);
  await Promise.all([...sockets, ...responses].map((stream) => stream.close()));
});

test('the digest shows which of several concurrent commits was accepted', async () => {
  const { convoId, groupId } = await createCraftedConversation(alice, [bob, carol]);
  const stream = await openEventStream(alice);
  const people = [alice, bob, carol];
  const commits = people.map(() => craftCommit(groupId, 0));
  const outcomes = await Promise.allSettled(
    people.map((client, index) =>
      client.call('addMembers', {
        convoId,
        didList: [client.did],
        commit: required(commits[index], 'commit').toString('base64'),
      }),
    ),
  );
  const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
  const { message } = await stream.next('messageEvent', (event) => event.message.convoId === convoId);
  expect(hex(message.digest)).toBe(sha256(required(commits[winner], 'the accepted commit')));
  expect(hex(message.digest)).not.toBe(sha256(newSecret(10)));
  await stream.close();
});
