import type { GroupInfoTBS } from 'ts-mls/groupInfo.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newSecret, newUuid } from '#platform/ids.ts';
import { refusalReasons } from '#domain/refusal-reasons.ts';
import { craftedSuite } from '../support/mls/crafted-conversation.ts';
import { createGroupWithHistory } from '../support/mls/group-with-history.ts';
import type { GroupWithHistory } from '../support/mls/group-with-history.ts';
import { decodeGroupInfo, inconsistentGroupInfos } from '../support/mls/inconsistent-group-infos.ts';
import { MlsMember } from '../support/mls/mls-member.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient, XrpcFailure } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed({ servers: 2 })));
afterAll(() => bed.stop());

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

interface Fixture {
  readonly convoId: string;
  readonly group: GroupWithHistory;
  readonly creator: XrpcClient;
  readonly anna: XrpcClient;
  readonly epoch: number;
}

async function newFixture({ stored = true } = {}): Promise<Fixture> {
  const creator = bed.client();
  const anna = bed.client();
  const group = await createGroupWithHistory(craftedSuite, { creatorDid: creator.did, annaDid: anna.did });
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
async function signChanged(member: MlsMember, change: (original: GroupInfoTBS) => GroupInfoTBS): Promise<Buffer> {
  return Buffer.from(await member.signGroupInfo(change(decodeGroupInfo(await member.exportGroupInfo()))));
}

/** Every invalid GroupInfo that `member` can sign, and bytes that are no GroupInfo, by name. */
async function badGroupInfos(member: MlsMember): Promise<Map<string, string>> {
  const bad = new Map<string, string>();
  for (const { name, make } of inconsistentGroupInfos) bad.set(name, base64(await signChanged(member, make)));
  const original = Buffer.from(await member.exportGroupInfo());
  const broken = Buffer.from(original);
  broken[broken.length - 5] = (broken.at(-5) ?? 0) ^ 1;
  return bad
    .set('a broken signature', base64(broken))
    .set('a truncated GroupInfo', base64(original.subarray(0, -1)))
    .set('an extra byte at the end', base64(Buffer.concat([original, Buffer.of(0)])))
    .set('random bytes', base64(newSecret(300)));
}

const texts: ReadonlySet<unknown> = new Set(Object.values(refusalReasons.InvalidGroupInfo));

/** Expects InvalidGroupInfo with the text of a rule, or, for unreadable bytes, with the expected form. */
function expectNamed(name: string, refusal: XrpcFailure): void {
  expect([refusal.status, refusal.error], name).toEqual([400, 'InvalidGroupInfo']);
  const { message } = refusal.body;
  const says =
    texts.has(message) || /^The groupInfo cannot be read[.] .+ Send a GroupInfo with its/.test(String(message));
  expect(says, `${name}: ${String(message)}`).toBe(true);
}

test('updateGroupInfo refuses every invalid GroupInfo with its rule, and the valid one stays', async () => {
  const { convoId, group, creator, anna, epoch } = await newFixture();
  const good = await creator.call('getGroupInfo', { convoId });
  const refusals = new Map<string, unknown>();
  for (const [name, groupInfo] of await badGroupInfos(group.anna)) {
    const refusal = await anna.refusal('updateGroupInfo', { convoId, groupInfo, epoch });
    expectNamed(name, refusal);
    refusals.set(name, refusal.body['message']);
  }
  for (const { name, mismatch } of inconsistentGroupInfos) {
    if (mismatch !== 'format') expect(refusals.get(name), name).toBe(refusalReasons.InvalidGroupInfo[mismatch]);
  }
  expect(refusals.get('no ratchet tree')).toContain('has no ratchet_tree extension');
  expect(await anna.call('getGroupInfo', { convoId })).toEqual(good);
});

test('createConvo, addMembers and processExternalCommit refuse the same, and the call has no other effect', async () => {
  const { convoId, group, creator, anna, epoch } = await newFixture();
  const outsider = bed.client();
  const outsiderGroup = await createGroupWithHistory(craftedSuite, { creatorDid: outsider.did });
  const toCreate = {
    groupId: outsiderGroup.groupId.toString('hex'),
    cipherSuite: craftedSuite,
    initialMembers: [],
    currentEpoch: outsiderGroup.creator.epoch,
  };
  for (const [name, groupInfo] of await badGroupInfos(outsiderGroup.creator)) {
    expectNamed(name, await outsider.refusal('createConvo', { ...toCreate, groupInfo }));
  }
  const earlier = { ...toCreate, currentEpoch: toCreate.currentEpoch - 1 };
  const validGroupInfo = base64(await outsiderGroup.creator.exportGroupInfo());
  expectNamed('another epoch', await outsider.refusal('createConvo', { ...earlier, groupInfo: validGroupInfo }));
  expect((await outsider.refusal('getEpoch', { convoId: toCreate.groupId })).error).toBe('ConvoNotFound');
  await outsider.call('createConvo', { ...toCreate, groupInfo: validGroupInfo });

  const { commit } = await group.creator.emptyCommit();
  const previous = base64(await group.creator.exportGroupInfo());
  group.creator.acceptCommit();
  const addition = { convoId, didList: [creator.did], commit: base64(commit) };
  for (const [name, groupInfo] of [
    ...(await badGroupInfos(group.creator)),
    ['the previous epoch', previous] as const,
  ]) {
    expectNamed(name, await creator.refusal('addMembers', { ...addition, idempotencyKey: newUuid(), groupInfo }));
  }
  expect(await anna.call('getEpoch', { convoId })).toMatchObject({ currentEpoch: epoch });

  const device = await MlsMember.create({ did: anna.did, cipherSuite: craftedSuite });
  const { groupInfo: shown } = await anna.call('getGroupInfo', { convoId });
  const made = await device.externalJoin(Buffer.from(shown, 'base64'));
  device.acceptCommit();
  const join = { convoId, externalCommit: base64(made.commit) };
  for (const [name, groupInfo] of [...(await badGroupInfos(device)), ['the previous epoch', previous] as const]) {
    expectNamed(name, await anna.refusal('processExternalCommit', { ...join, idempotencyKey: newUuid(), groupInfo }));
  }
  expect(await anna.call('getEpoch', { convoId })).toMatchObject({ currentEpoch: epoch });
  await anna.call('processExternalCommit', { ...join, groupInfo: base64(made.groupInfo) });
  expect((await creator.call('getGroupInfo', { convoId })).groupInfo).toBe(base64(made.groupInfo));
});

test('another GroupInfo of the same epoch replaces it only with the same context, tag and external key', async () => {
  const { convoId, group, creator, anna, epoch } = await newFixture();
  const byAnna = base64(await group.anna.exportGroupInfo());
  await anna.call('updateGroupInfo', { convoId, groupInfo: byAnna, epoch });
  expect((await creator.call('getGroupInfo', { convoId })).groupInfo).toBe(byAnna);

  const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, at) => (at === 3 ? byte ^ 1 : byte));
  const others: Record<string, (original: GroupInfoTBS) => GroupInfoTBS> = {
    transcript: (original) => ({
      ...original,
      groupContext: {
        ...original.groupContext,
        confirmedTranscriptHash: flipped(original.groupContext.confirmedTranscriptHash),
      },
    }),
    extension: (original) => ({
      ...original,
      groupContext: {
        ...original.groupContext,
        extensions: [{ extensionType: 0xf0f0, extensionData: new Uint8Array() }],
      },
    }),
    tag: (original) => ({ ...original, confirmationTag: flipped(original.confirmationTag) }),
    key: (original) => ({
      ...original,
      extensions: original.extensions.map((one) =>
        one.extensionType === 'external_pub' ? { ...one, extensionData: flipped(one.extensionData) } : one,
      ),
    }),
  };
  for (const [name, change] of Object.entries(others)) {
    const groupInfo = base64(await signChanged(group.carl, change));
    const refusal = await creator.refusal('updateGroupInfo', { convoId, groupInfo, epoch });
    expect(refusal.body['message'], name).toBe(refusalReasons.InvalidGroupInfo.otherContext);
  }
  expect((await creator.call('getGroupInfo', { convoId })).groupInfo).toBe(byAnna);
  await creator.call('updateGroupInfo', { convoId, groupInfo: base64(await group.creator.exportGroupInfo()), epoch });
});

test('of two contexts that are written concurrently for an epoch exactly one is stored', async () => {
  const { convoId, group, creator, anna, epoch } = await newFixture({ stored: false });
  const other = (original: GroupInfoTBS): GroupInfoTBS => ({ ...original, confirmationTag: newSecret(32) });
  const kinds = [await group.carl.exportGroupInfo(), await signChanged(group.carl, other)].map(base64);
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

test('a non-member gets the same response whatever they send, and whether or not the conversation exists', async () => {
  const { convoId, group, epoch } = await newFixture();
  const nonMember = bed.client();
  const good = base64(await group.creator.exportGroupInfo());
  const bad = base64(
    await signChanged(group.creator, (original) => ({ ...original, confirmationTag: new Uint8Array() })),
  );
  const device = await MlsMember.create({ did: nonMember.did, cipherSuite: craftedSuite });
  const made = await device.externalJoin(await group.creator.exportGroupInfo());
  const responses = new Set<string>();
  for (const convo of [convoId, newSecret(32).toString('hex')]) {
    for (const groupInfo of [good, bad, base64(newSecret(300))]) {
      const update = await nonMember.refusal('updateGroupInfo', { convoId: convo, groupInfo, epoch });
      const add = { convoId: convo, didList: [nonMember.did], idempotencyKey: newUuid(), groupInfo };
      const addition = await nonMember.refusal('addMembers', add);
      responses.add(`update ${update.error} ${String(update.body['message'])}`);
      responses.add(`add ${addition.error} ${String(addition.body['message'])}`);
    }
  }
  for (const groupInfo of [base64(made.groupInfo), bad, base64(newSecret(300))]) {
    const join = { convoId, externalCommit: base64(made.commit), groupInfo };
    const refusal = await nonMember.refusal('processExternalCommit', join);
    responses.add(`join ${refusal.error} ${String(refusal.body['message'])}`);
  }
  expect([...responses].map((response) => response.split(' ').slice(0, 2).join(' '))).toEqual([
    'update ConvoNotFound',
    'add ConvoNotFound',
    'join ConvoNotFound',
  ]);
});
