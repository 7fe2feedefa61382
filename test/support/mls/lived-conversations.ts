import { blockChatSender } from '#domain/chat-requests/block-chat-sender.ts';
import { sendChatRequest } from '#domain/chat-requests/send-chat-request.ts';
import { createConversation } from '#domain/conversations/create-conversation.ts';
import { registerDevice } from '#domain/devices/register-device.ts';
import { createInvite } from '#domain/invites/create-invite.ts';
import { claimKeyPackages } from '#domain/key-packages/claiming/claim-key-packages.ts';
import { addMembers } from '#domain/membership/add-members.ts';
import { leaveConversation } from '#domain/membership/leave-conversation.ts';
import { updatePolicy } from '#domain/policies/update-policy.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import { craftCommit, craftWelcome } from './crafted-mls.ts';
import { plantKeyPackages, randomPeople, refusalOf, sendRandom, testSuite } from '../domain-harness.ts';
import type { TestServer } from '../domain-harness.ts';
import { MlsDevice } from './mls-device.ts';
import { shuffled } from '../privacy/tie-attacks.ts';

/** A conversation and everybody who was ever in it. */
export interface LivedConversation {
  readonly groupId: Buffer;
  readonly dids: ReadonlySet<string>;
}

export interface Life {
  readonly people: readonly string[];
  /** In the order in which they were made. */
  readonly conversations: readonly LivedConversation[];
}

const noPolicy = {
  handshakes: undefined,
  allowInvites: undefined,
  adminOnlyInvites: undefined,
  allowMemberAdd: undefined,
  allowMemberRemove: undefined,
  requireAdminApproval: undefined,
  maxMembers: undefined,
} as const;

async function register(server: TestServer, did: string): Promise<void> {
  const device = await MlsDevice.create(did, testSuite);
  const { bytes } = await device.createKeyPackage();
  await registerDevice(
    server,
    { did },
    {
      name: 'phone',
      uuid: newUuid(),
      signatureKey: Buffer.from(device.signaturePublicKey),
      keyPackages: [{ bytes: Buffer.from(bytes), cipherSuite: testSuite, expiresAtMs: undefined }],
    },
  );
  await plantKeyPackages(server, { did }, 30);
}

async function claimed(server: TestServer, caller: string, dids: readonly string[]): Promise<Buffer[]> {
  const { packages } = await claimKeyPackages(server, { did: caller }, { dids, cipherSuite: testSuite });
  return packages.map(({ ref }) => ref);
}

/** One conversation from its first to its last call, one call after the other. */
async function live(server: TestServer, people: readonly string[]): Promise<LivedConversation> {
  const [creator = '', joiner = '', third = '', later = '', stranger = ''] = shuffled(people);
  const groupId = newSecret(16);
  const id = groupId.toString('hex');
  const isTrio = (groupId[0] ?? 0) % 2 === 0;
  const others = isTrio ? [joiner, third] : [joiner];
  await createConversation(
    server,
    { did: creator },
    {
      groupId: id,
      cipherSuite: testSuite,
      initialMembers: others,
      welcome: craftWelcome(await claimed(server, creator, others)),
      groupInfo: undefined,
      metadata: { name: 'us' },
      currentEpoch: undefined,
      idempotencyKey: newUuid(),
    },
  );
  await createInvite(
    server,
    { did: creator },
    {
      conversationId: id,
      pskHash: newSecret(32).toString('hex'),
      targetDid: undefined,
      expiresAtMs: undefined,
      maxUses: undefined,
      idempotencyKey: newUuid(),
    },
  );
  await updatePolicy(server, { did: creator }, { conversationId: id, change: { ...noPolicy, allowInvites: true } });
  await sendRandom(server, joiner, { id, epoch: 1 });
  await addMembers(
    server,
    { did: creator },
    {
      conversationId: id,
      dids: [later],
      commit: craftCommit(groupId, 1),
      welcome: craftWelcome(await claimed(server, creator, [later])),
      groupInfo: undefined,
    },
  );
  if (isTrio)
    await leaveConversation(server, { did: third }, { conversationId: id, targetDid: undefined, commit: undefined });
  const request = {
    previewText: 'hello',
    heldMessages: [],
    isGroupInvite: false,
    conversationId: undefined,
    recipientDid: stranger,
  };
  // The same two may have met before; a second request is refused then.
  await refusalOf(sendChatRequest(server, { did: creator }, request));
  if (isTrio) await blockChatSender(server, { did: joiner }, { senderDid: stranger, requestId: undefined });
  return { groupId, dids: new Set([creator, ...others, later]) };
}

/**
 * A service with nothing else to do: people register, claim each other's key packages, make conversations with Welcomes,
 * invites and policies, add, leave, and write chat requests, one call after the other. `settle` is called between.
 */
export async function liveAWhile(
  server: TestServer,
  size: { people: number; conversations: number; settleEvery: number },
  settle: () => Promise<void>,
): Promise<Life> {
  const people = randomPeople(size.people);
  for (const did of people) await register(server, did);
  const conversations: LivedConversation[] = [];
  for (let nth = 1; nth <= size.conversations; nth++) {
    conversations.push(await live(server, people));
    if (nth % size.settleEvery === 0) await settle();
  }
  return { people, conversations };
}
