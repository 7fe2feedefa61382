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

/** A conversation and all people who were ever in it. */
export interface SimulatedConversation {
  readonly groupId: Buffer;
  readonly dids: ReadonlySet<string>;
}

export interface SimulatedUse {
  readonly people: readonly string[];
  /** In the order of creation. */
  readonly conversations: readonly SimulatedConversation[];
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

/** Makes all calls of one conversation, one after the other. */
async function runConversation(server: TestServer, people: readonly string[]): Promise<SimulatedConversation> {
  const [creator = '', joiner = '', third = '', later = '', requestRecipient = ''] = shuffled(people);
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
    recipientDid: requestRecipient,
  };
  // The request is refused if the two people have one already.
  await refusalOf(sendChatRequest(server, { did: creator }, request));
  if (isTrio) await blockChatSender(server, { did: joiner }, { senderDid: requestRecipient, requestId: undefined });
  return { groupId, dids: new Set([creator, ...others, later]) };
}

/**
 * Simulates the use of a service without other load: people register, claim key packages, create conversations with Welcomes, invites
 * and policies, add members, leave, and send chat requests, one call after the other. `applyDeferredWrites` is called after every
 * `applyEvery` conversations.
 */
export async function simulateUse(
  server: TestServer,
  size: { people: number; conversations: number; applyEvery: number },
  applyDeferredWrites: () => Promise<void>,
): Promise<SimulatedUse> {
  const people = randomPeople(size.people);
  for (const did of people) await register(server, did);
  const conversations: SimulatedConversation[] = [];
  for (let nth = 1; nth <= size.conversations; nth++) {
    conversations.push(await runConversation(server, people));
    if (nth % size.applyEvery === 0) await applyDeferredWrites();
  }
  return { people, conversations };
}
