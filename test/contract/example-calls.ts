import type { MethodName } from '#client/api/methods.ts';
import type { EventOf } from '#client/stream/stream-event.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import { craftCommit, craftWelcome } from '../support/mls/crafted-mls.ts';
import { craftedSuite as cipherSuite, craftMessage } from '../support/mls/crafted-conversation.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import type { LoopbackPds } from '../support/network/loopback-pds.ts';
import { MlsMember } from '../support/mls/mls-member.ts';
import type { TestBed } from '../support/test-server.ts';
import type { RequestOf, ResponseOf, XrpcClient } from '../support/clients/xrpc-client.ts';

/** Makes the calls of the examples: to record them, or as the pages show them. */
export interface ExampleCalls {
  call<Name extends MethodName>(name: Name, client: XrpcClient, request: RequestOf<Name>): Promise<ResponseOf<Name>>;
  /** Calls a method whose lexicon has no input. */
  callWithoutBody(name: MethodName, client: XrpcClient): Promise<void>;
  /** Opens a stream and returns its first message. */
  firstMessage(
    name: 'subscribeConvoEvents' | 'streamConvoEvents',
    client: XrpcClient,
    request: StreamRequest,
  ): Promise<EventOf<'messageEvent'>>;
}

/** The parameters of a stream; a ticket is for WebSockets only. */
export interface StreamRequest {
  readonly cursor: string;
  readonly convoId: string;
  readonly ticket?: string;
}

/** The people of the examples by name. */
export type People = ReadonlyMap<string, XrpcClient>;

/** Creates the people of the examples, whose repositories are on `pds`. */
export function createPeople(bed: TestBed, pds: LoopbackPds): People {
  const names = ['alice', 'bob', 'carol', 'dave', 'eve'];
  return new Map(names.map((name) => [name, bed.client({ account: bed.account({ pdsUrl: pds.url }) })]));
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const expires = new Date(Date.now() + 20 * 86_400_000).toISOString();

interface Upload {
  readonly keyPackage: string;
  readonly cipherSuite: string;
  readonly expires: string;
}

async function keyPackage(device: MlsMember): Promise<Upload> {
  const { bytes } = await device.createKeyPackage();
  return { keyPackage: base64(bytes), cipherSuite, expires };
}

/** Calls every method at least once, in the state that it needs. */
export async function makeExampleCalls(record: ExampleCalls, people: People, pds: LoopbackPds): Promise<void> {
  const person = (name: string): XrpcClient => {
    const client = people.get(name);
    if (client === undefined) throw new RangeError(`there is no client named ${name}`);
    return client;
  };
  const [alice, bob, carol] = [person('alice'), person('bob'), person('carol')];
  /** A conversation of Alice and Bob. */
  let convoId: string;
  let groupId: Buffer;
  const steps = new Map<string, () => Promise<void>>();
  const step = (title: string, run: () => Promise<void>): void => void steps.set(title, run);

  async function register(client: XrpcClient, deviceName: string): Promise<{ device: MlsMember; deviceId: string }> {
    const device = await MlsMember.create({ did: client.did, cipherSuite });
    const { deviceId } = await record.call('registerDevice', client, {
      deviceName,
      deviceUUID: newUuid(),
      keyPackages: [await keyPackage(device)],
      signaturePublicKey: device.device.signaturePublicKey,
    });
    return { device, deviceId };
  }

  let telephone: { device: MlsMember; deviceId: string };
  let tablet: { device: MlsMember; deviceId: string };

  step('devices, key packages and opting in', async () => {
    telephone = await register(alice, 'Telephone');
    await register(bob, "Bob's telephone");
    tablet = await register(carol, 'Tablet');
    await record.call('optIn', alice, {});
    await bob.call('optIn', {});
    await record.call('getOptInStatus', alice, { dids: [bob.did, carol.did] });
    await record.call('publishKeyPackage', alice, await keyPackage(telephone.device));
    await record.call('publishKeyPackages', alice, { keyPackages: [await keyPackage(telephone.device)] });
    await record.call('getKeyPackageStats', alice, {});
    await record.call('listDevices', alice, {});
  });

  step('a conversation is created', async () => {
    const { keyPackages } = await record.call('getKeyPackages', alice, { dids: [bob.did], cipherSuite });
    const refs = keyPackages.map(({ keyPackageHash }) => Buffer.from(keyPackageHash ?? '', 'hex'));
    groupId = newSecret(16);
    convoId = groupId.toString('hex');
    await record.call('createConvo', alice, {
      groupId: convoId,
      cipherSuite,
      initialMembers: [bob.did],
      welcomeMessage: base64(craftWelcome(refs)),
      keyPackageHashes: refs.map((ref) => ({ did: bob.did, hash: ref.toString('hex') })),
      metadata: { name: 'Walking' },
      idempotencyKey: newUuid(),
    });
    const { welcome } = await record.call('getWelcome', bob, { convoId });
    await record.call('validateWelcome', bob, { welcomeMessage: Buffer.from(welcome, 'base64') });
    await record.call('confirmWelcome', bob, { convoId, success: true });
    await record.call('getEpoch', bob, { convoId });
  });

  step('messages and events', async () => {
    const stream = await openEventStream(bob, { convoId });
    const cursor = await stream.opened;
    await stream.close();
    await record.call('sendMessage', alice, craftMessage({ convoId, groupId }, { epoch: 1 }));
    const { ticket } = await record.call('getSubscriptionTicket', bob, { convoId });
    const event = await record.firstMessage('subscribeConvoEvents', bob, { cursor, convoId, ticket });
    await record.firstMessage('streamConvoEvents', bob, { cursor, convoId });
    await record.call('getMessages', bob, { convoId, sinceSeq: 0 });
    await record.call('updateCursor', bob, { convoId, cursor: event.cursor });
    await record.call('getConvos', bob, { limit: 50 });
  });

  step('a second device is added, and devices are managed', async () => {
    const laptop = await register(alice, 'Laptop');
    const { pendingAdditions } = await record.call('getPendingDeviceAdditions', bob, { convoIds: [convoId] });
    const pendingAdditionId = pendingAdditions[0]?.id ?? '';
    await record.call('claimPendingDeviceAddition', bob, { pendingAdditionId });
    await record.call('completePendingDeviceAddition', bob, { pendingAdditionId, newEpoch: 2 });
    const { deviceId } = laptop;
    await record.call('registerDeviceToken', alice, { deviceId, pushToken: 'token-of-the-platform', platform: 'ios' });
    await record.call('unregisterDeviceToken', alice, { deviceId });
    await record.call('validateDeviceState', alice, { deviceId });
    await record.call('getKeyPackageStatus', bob, { limit: 20 });
    await record.call('getKeyPackageHistory', bob, { limit: 20 });
    await record.call('syncKeyPackages', alice, { deviceId: telephone.deviceId, localHashes: [] });
  });

  step('members are added, get roles, and leave', async () => {
    const commit = (epoch: number): string => base64(craftCommit(groupId, epoch));
    await record.call('addMembers', alice, { convoId, didList: [carol.did], commit: commit(1) });
    await record.call('getCommits', bob, { convoId, fromEpoch: 2 });
    await record.call('promoteAdmin', alice, { convoId, targetDid: bob.did });
    await record.call('demoteAdmin', alice, { convoId, targetDid: bob.did });
    await record.call('promoteModerator', alice, { convoId, targetDid: bob.did });
    await record.call('demoteModerator', alice, { convoId, targetDid: bob.did });
    await record.call('warnMember', alice, { convoId, memberDid: carol.did, reason: 'Please keep to the topic.' });
    const report = { convoId, reportedDid: carol.did, category: 'spam', encryptedContent: newSecret(64) };
    await bob.call('reportMember', report);
    const { reportId } = await record.call('reportMember', bob, report);
    await record.call('getReports', alice, { convoId, status: 'pending', limit: 1 });
    await record.call('resolveReport', alice, { reportId, action: 'removed_member' });
    await record.call('removeMember', alice, {
      convoId,
      targetDid: carol.did,
      idempotencyKey: newUuid(),
      commit: commit(2),
    });
    await record.call('getAdminStats', alice, { convoId });
    await record.call('commit', bob, { convoId, commit: craftCommit(groupId, 3), idempotencyKey: newUuid() });
  });

  step('blocks', async () => {
    const blockUri = pds.block(alice.did, bob.did);
    await record.call('handleBlockChange', alice, {
      blockerDid: alice.did,
      blockedDid: bob.did,
      action: 'created',
      blockUri,
    });
    await record.call('checkBlocks', alice, { dids: [alice.did, bob.did] });
    await record.call('getBlockStatus', alice, { convoId });
  });

  step('an invite, and joining by external commit', async () => {
    const ofOne = newSecret(16);
    const group = telephone.device.inAnotherGroup();
    await group.createGroup(ofOne);
    const club = ofOne.toString('hex');
    await alice.call('createConvo', { groupId: club, cipherSuite, metadata: { name: 'Club' } });
    const groupInfo = base64(await group.exportGroupInfo());
    await record.call('updateGroupInfo', alice, { convoId: club, groupInfo, epoch: 0 });
    await record.call('updatePolicy', alice, { convoId: club, allowInvites: true, maxMembers: 100 });
    await record.call('getPolicy', alice, { convoId: club });
    const pskHash = newSecret(32).toString('hex');
    const { inviteId } = await record.call('createInvite', alice, { convoId: club, pskHash, maxUses: 1 });
    await record.call('listInvites', alice, { convoId: club });
    const shown = await record.call('getGroupInfo', carol, { convoId: club, pskHash });
    const joining = await tablet.device.inAnotherGroup().externalJoin(Buffer.from(shown.groupInfo, 'base64'));
    await record.call('processExternalCommit', carol, {
      convoId: club,
      externalCommit: base64(joining.commit),
      groupInfo: base64(joining.groupInfo),
      pskHash,
      idempotencyKey: newUuid(),
    });
    await record.call('revokeInvite', alice, { inviteId });
    await record.call('groupInfoRefresh', carol, { convoId: club });
    await record.call('readdition', carol, { convoId: club });
    const { keyPackage: again } = await keyPackage(tablet.device);
    await record.call('rejoin', carol, { convoId: club, keyPackage: again });
    await record.call('getExpectedConversations', carol, {});
  });

  step('a Welcome that cannot be used', async () => {
    const { keyPackages } = await alice.call('getKeyPackages', { dids: [carol.did], cipherSuite });
    const refs = keyPackages.map(({ keyPackageHash }) => Buffer.from(keyPackageHash ?? '', 'hex'));
    const lost = newSecret(16).toString('hex');
    await alice.call('createConvo', {
      groupId: lost,
      cipherSuite,
      initialMembers: [carol.did],
      welcomeMessage: base64(craftWelcome(refs)),
    });
    await record.call('invalidateWelcome', carol, { convoId: lost, reason: 'keys lost' });
  });

  step('a person without a common conversation sends a chat request', async () => {
    const [requester, unwantedRequester] = [person('dave'), person('eve')];
    await record.call('updateChatRequestSettings', alice, { autoExpireDays: 14 });
    await record.call('getChatRequestSettings', alice, {});
    const heldMessages = [{ ciphertext: newSecret(512), paddedSize: 512 }];
    const { requestId } = await record.call('sendChatRequest', requester, {
      recipientDid: alice.did,
      previewText: 'We met at the station.',
      heldMessages,
    });
    await record.call('getRequestCount', alice, {});
    await record.call('listChatRequests', alice, { status: 'pending' });
    await record.call('acceptChatRequest', alice, { requestId });
    const unwanted = await unwantedRequester.call('sendChatRequest', { recipientDid: alice.did });
    await record.call('declineChatRequest', alice, { requestId: unwanted.requestId, reportReason: 'spam' });
    await record.call('blockChatSender', alice, { senderDid: unwantedRequester.did });
  });

  step('a person opts out', async () => {
    await record.call('leaveConvo', bob, { convoId });
    await record.call('deleteDevice', alice, { deviceId: telephone.deviceId });
    await record.callWithoutBody('optOut', alice);
  });

  for (const [title, run] of steps) {
    await run().catch((error: unknown) => {
      throw new Error(`${title}: ${String(error)}`, { cause: error });
    });
  }
}
