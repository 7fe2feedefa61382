import { leaveConversation } from '#domain/membership/leave-conversation.ts';
import { promoteAdmin } from '#domain/membership/roles/promote-admin.ts';
import { promoteModerator } from '#domain/membership/roles/promote-moderator.ts';
import { newSecret } from '#platform/ids.ts';
import { createConversation } from '#domain/conversations/create-conversation.ts';
import { craftedSuite as cipherSuite } from './crafted-conversation.ts';
import type { TestServer } from '../domain-harness.ts';
import { decodeGroupInfo } from './inconsistent-group-infos.ts';
import { MlsMember } from './mls-member.ts';
import { randomPlcDid } from '../clients/account.ts';

const names = ['alice', 'bob', 'carol', 'dave', 'eve', 'unlisted', 'gina'] as const;
export type Name = (typeof names)[number];

/**
 * The leaves of each person. Alice and Dave are admins, Carol is a moderator, Bob and Gina are members; Eve has left and has not been
 * removed from the MLS group; `unlisted` is in the MLS group but not on the roster. Leaf 12 is blank.
 */
export const leavesOfGroup = {
  alice: [0, 7],
  bob: [1, 8],
  carol: [2, 9],
  dave: [3, 10],
  eve: [4],
  unlisted: [5],
  gina: [6, 11],
} as const satisfies Record<Name, readonly number[]>;
export const blankLeaf = 12;

/** The people of an MLS group for which GroupInfos with any group id can be made. */
export interface KnownPeople {
  readonly dids: Readonly<Record<Name, string>>;
  /** Makes a GroupInfo of epoch 1 with this `groupId`. */
  readonly groupInfoOf: (groupId: Uint8Array) => Promise<Buffer>;
}

export async function createKnownPeople(): Promise<KnownPeople> {
  const dids = Object.fromEntries(names.map((name) => [name, randomPlcDid()])) as Record<Name, string>;
  const device = (name: Name): Promise<MlsMember> => MlsMember.create({ did: dids[name], cipherSuite });
  const creator = await device('alice');
  const leaves: Name[] = [];
  for (const name of names) for (const leaf of leavesOfGroup[name]) leaves[leaf] = name;
  const joiners = await Promise.all(leaves.slice(1).map(device));
  const packages = await Promise.all(joiners.map((joiner) => joiner.createKeyPackage()));
  await creator.createGroup(newSecret(16));
  await creator.addMembers(packages.map(({ bytes }) => bytes));
  creator.acceptCommit();
  const truth = decodeGroupInfo(await creator.exportGroupInfo());
  return {
    dids,
    groupInfoOf: async (groupId) =>
      Buffer.from(await creator.signGroupInfo({ ...truth, groupContext: { ...truth.groupContext, groupId } })),
  };
}

export interface KnownGroup {
  readonly id: string;
  readonly groupId: Buffer;
}

/** A conversation of the people at epoch 1; `leaves`: whether a GroupInfo of it is stored. */
export async function createKnownGroup(
  server: TestServer,
  { dids, groupInfoOf }: KnownPeople,
  leaves: 'known' | 'unknown' = 'known',
): Promise<KnownGroup> {
  const groupId = newSecret(16);
  const id = groupId.toString('hex');
  const alice = { did: dids.alice };
  await createConversation(server, alice, {
    groupId: id,
    cipherSuite,
    initialMembers: [dids.bob, dids.carol, dids.dave, dids.eve, dids.gina],
    welcome: undefined,
    groupInfo: leaves === 'known' ? await groupInfoOf(groupId) : undefined,
    metadata: undefined,
    currentEpoch: 1,
  });
  await promoteAdmin(server, alice, { conversationId: id, targetDid: dids.dave });
  await promoteModerator(server, alice, { conversationId: id, targetDid: dids.carol });
  await leaveConversation(server, { did: dids.eve }, { conversationId: id, targetDid: undefined, commit: undefined });
  return { id, groupId };
}
