import type { GroupInfoTBS } from 'ts-mls/groupInfo.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newSecret, newUuid } from '#platform/ids.ts';
import { refusalReasons } from '#domain/refusal-reasons.ts';
import { craftedSuite } from '../support/mls/crafted-conversation.ts';
import { growGroup } from '../support/mls/grown-group.ts';
import type { GrownGroup } from '../support/mls/grown-group.ts';
import { decodeGroupInfo, lies } from '../support/mls/inconsistent-group-infos.ts';
import { MlsMember } from '../support/mls/mls-member.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient, XrpcFailure } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed({ servers: 2 })));
afterAll(() => bed.stop());

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

interface Scene {
  readonly convoId: string;
  readonly group: GrownGroup;
  readonly creator: XrpcClient;
  readonly anna: XrpcClient;
  /** The epoch of the conversation. */
  readonly epoch: number;
}

async function newScene({ stored = true } = {}): Promise<Scene> {
  const creator = bed.client();
  const anna = bed.client();
  const group = await growGroup(craftedSuite, { creatorDid: creator.did, annaDid: anna.did });
  const convoId = group.groupId.toString('hex');
  const { epoch } = group.creator;
  await creator.call('createConvo', {
    groupId: convoId,
    cipherSuite: craftedSuite,
    initialMembers: [anna.did],
    currentEpoch: epoch,
    ...(stored ? { groupInfo: base64(await group.creator.exportGroupInfo()) } : {}),
  });
  return { convoId, group, creator, anna, epoch };
}

/** The message of `member`'s GroupInfo, changed before it is signed. */
async function forged(member: MlsMember, tell: (truth: GroupInfoTBS) => GroupInfoTBS): Promise<Buffer> {
  return Buffer.from(await member.signGroupInfo(tell(decodeGroupInfo(await member.exportGroupInfo()))));
}

/** All lies of `member`, and bytes that are no GroupInfo, by name. */
async function badGroupInfos(member: MlsMember): Promise<Map<string, string>> {
  const bad = new Map<string, string>();
  for (const { name, tell } of lies) bad.set(name, base64(await forged(member, tell)));
  const truth = Buffer.from(await member.exportGroupInfo());
  const broken = Buffer.from(truth);
  broken[broken.length - 5] = (broken.at(-5) ?? 0) ^ 1;
  return bad
    .set('a broken signature', base64(broken))
    .set('a cut GroupInfo', base64(truth.subarray(0, -1)))
    .set('a byte behind it', base64(Buffer.concat([truth, Buffer.of(0)])))
    .set('random bytes', base64(newSecret(300)));
}

const texts: ReadonlySet<unknown> = new Set(Object.values(refusalReasons.InvalidGroupInfo));

/** Every refusal is InvalidGroupInfo and names its rule; unreadable bytes are told what was expected. */
function expectNamed(name: string, refusal: XrpcFailure): void {
  expect([refusal.status, refusal.error], name).toEqual([400, 'InvalidGroupInfo']);
  const { message } = refusal.body;
  const says =
    texts.has(message) || /^The groupInfo cannot be read[.] .+ Send a GroupInfo with its/.test(String(message));
  expect(says, `${name}: ${String(message)}`).toBe(true);
}

test('updateGroupInfo refuses what a lying member signs, each by its rule, and the good one stays', async () => {
  const { convoId, group, creator, anna, epoch } = await newScene();
  const good = await creator.call('getGroupInfo', { convoId });
  const refusals = new Map<string, unknown>();
  for (const [name, groupInfo] of await badGroupInfos(group.anna)) {
    const refusal = await anna.refusal('updateGroupInfo', { convoId, groupInfo, epoch });
    expectNamed(name, refusal);
    refusals.set(name, refusal.body['message']);
  }
  for (const { name, fault } of lies) {
    if (fault !== 'format') expect(refusals.get(name), name).toBe(refusalReasons.InvalidGroupInfo[fault]);
  }
  expect(refusals.get('no ratchet tree')).toContain('has no ratchet_tree extension');
  expect(await anna.call('getGroupInfo', { convoId })).toEqual(good);
});

test('createConvo, addMembers and processExternalCommit refuse the same, and nothing else of the call happens', async () => {
  const { convoId, group, creator, anna, epoch } = await newScene();
  const unborn = bed.client();
  const ofUnborn = await growGroup(craftedSuite, { creatorDid: unborn.did });
  const toCreate = {
    groupId: ofUnborn.groupId.toString('hex'),
    cipherSuite: craftedSuite,
    initialMembers: [],
    currentEpoch: ofUnborn.creator.epoch,
  };
  for (const [name, groupInfo] of await badGroupInfos(ofUnborn.creator)) {
    expectNamed(name, await unborn.refusal('createConvo', { ...toCreate, groupInfo }));
  }
  const earlier = { ...toCreate, currentEpoch: toCreate.currentEpoch - 1 };
  const honest = base64(await ofUnborn.creator.exportGroupInfo());
  expectNamed('another epoch', await unborn.refusal('createConvo', { ...earlier, groupInfo: honest }));
  expect((await unborn.refusal('getEpoch', { convoId: toCreate.groupId })).error).toBe('ConvoNotFound');
  await unborn.call('createConvo', { ...toCreate, groupInfo: honest });

  const { commit } = await group.creator.emptyCommit();
  const former = base64(await group.creator.exportGroupInfo());
  group.creator.acceptCommit();
  const addition = { convoId, didList: [creator.did], commit: base64(commit) };
  for (const [name, groupInfo] of [...(await badGroupInfos(group.creator)), ['the former epoch', former] as const]) {
    expectNamed(name, await creator.refusal('addMembers', { ...addition, idempotencyKey: newUuid(), groupInfo }));
  }
  expect(await anna.call('getEpoch', { convoId })).toMatchObject({ currentEpoch: epoch });

  const device = await MlsMember.create({ did: anna.did, cipherSuite: craftedSuite });
  const { groupInfo: shown } = await anna.call('getGroupInfo', { convoId });
  const made = await device.externalJoin(Buffer.from(shown, 'base64'));
  device.acceptCommit();
  const join = { convoId, externalCommit: base64(made.commit) };
  for (const [name, groupInfo] of [...(await badGroupInfos(device)), ['the former epoch', former] as const]) {
    expectNamed(name, await anna.refusal('processExternalCommit', { ...join, idempotencyKey: newUuid(), groupInfo }));
  }
  expect(await anna.call('getEpoch', { convoId })).toMatchObject({ currentEpoch: epoch });
  await anna.call('processExternalCommit', { ...join, groupInfo: base64(made.groupInfo) });
  expect((await creator.call('getGroupInfo', { convoId })).groupInfo).toBe(base64(made.groupInfo));
});

test('another one of the same epoch replaces it only if it says the same context, tag and external key', async () => {
  const { convoId, group, creator, anna, epoch } = await newScene();
  const byAnna = base64(await group.anna.exportGroupInfo());
  await anna.call('updateGroupInfo', { convoId, groupInfo: byAnna, epoch });
  expect((await creator.call('getGroupInfo', { convoId })).groupInfo).toBe(byAnna);

  const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, at) => (at === 3 ? byte ^ 1 : byte));
  const others: Record<string, (truth: GroupInfoTBS) => GroupInfoTBS> = {
    transcript: (truth) => ({
      ...truth,
      groupContext: {
        ...truth.groupContext,
        confirmedTranscriptHash: flipped(truth.groupContext.confirmedTranscriptHash),
      },
    }),
    extension: (truth) => ({
      ...truth,
      groupContext: {
        ...truth.groupContext,
        extensions: [{ extensionType: 0xf0f0, extensionData: new Uint8Array() }],
      },
    }),
    tag: (truth) => ({ ...truth, confirmationTag: flipped(truth.confirmationTag) }),
    key: (truth) => ({
      ...truth,
      extensions: truth.extensions.map((one) =>
        one.extensionType === 'external_pub' ? { ...one, extensionData: flipped(one.extensionData) } : one,
      ),
    }),
  };
  for (const [name, tell] of Object.entries(others)) {
    const groupInfo = base64(await forged(group.carl, tell));
    const refusal = await creator.refusal('updateGroupInfo', { convoId, groupInfo, epoch });
    expect(refusal.body['message'], name).toBe(refusalReasons.InvalidGroupInfo.otherContext);
  }
  expect((await creator.call('getGroupInfo', { convoId })).groupInfo).toBe(byAnna);
  await creator.call('updateGroupInfo', { convoId, groupInfo: base64(await group.creator.exportGroupInfo()), epoch });
});

test('of two contexts that are written at once for an epoch exactly one is kept', async () => {
  const { convoId, group, creator, anna, epoch } = await newScene({ stored: false });
  const other = (truth: GroupInfoTBS): GroupInfoTBS => ({ ...truth, confirmationTag: newSecret(32) });
  const kinds = [await group.carl.exportGroupInfo(), await forged(group.carl, other)].map(base64);
  const outcomes = await Promise.all(
    Array.from({ length: 24 }, async (_, index) => {
      const groupInfo = kinds[index % 2] ?? '';
      const body = JSON.stringify({ convoId, groupInfo, epoch });
      const { status } = await (index % 3 === 0 ? anna : creator).raw('updateGroupInfo', { body });
      return { kind: index % 2, status };
    }),
  );
  const taken = new Set(outcomes.filter(({ status }) => status === 200).map(({ kind }) => kind));
  expect(taken.size).toBe(1);
  expect(outcomes.filter(({ status }) => status === 200)).toHaveLength(12);
  expect(outcomes.filter(({ status }) => status === 400)).toHaveLength(12);
  const { groupInfo } = await anna.call('getGroupInfo', { convoId });
  expect(taken).toEqual(new Set([kinds.indexOf(groupInfo)]));
});

test('whoever is not in the conversation gets the same answer whatever they send, and whether or not it exists', async () => {
  const { convoId, group, epoch } = await newScene();
  const stranger = bed.client();
  const good = base64(await group.creator.exportGroupInfo());
  const bad = base64(await forged(group.creator, (truth) => ({ ...truth, confirmationTag: new Uint8Array() })));
  const device = await MlsMember.create({ did: stranger.did, cipherSuite: craftedSuite });
  const made = await device.externalJoin(await group.creator.exportGroupInfo());
  const answers = new Set<string>();
  for (const convo of [convoId, newSecret(32).toString('hex')]) {
    for (const groupInfo of [good, bad, base64(newSecret(300))]) {
      const update = await stranger.refusal('updateGroupInfo', { convoId: convo, groupInfo, epoch });
      const add = { convoId: convo, didList: [stranger.did], idempotencyKey: newUuid(), groupInfo };
      const addition = await stranger.refusal('addMembers', add);
      answers.add(`update ${update.error} ${String(update.body['message'])}`);
      answers.add(`add ${addition.error} ${String(addition.body['message'])}`);
    }
  }
  for (const groupInfo of [base64(made.groupInfo), bad, base64(newSecret(300))]) {
    const join = { convoId, externalCommit: base64(made.commit), groupInfo };
    const refusal = await stranger.refusal('processExternalCommit', join);
    answers.add(`join ${refusal.error} ${String(refusal.body['message'])}`);
  }
  expect([...answers].map((answer) => answer.split(' ').slice(0, 2).join(' '))).toEqual([
    'update ConvoNotFound',
    'add ConvoNotFound',
    'join ConvoNotFound',
  ]);
});
