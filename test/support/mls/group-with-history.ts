import { required } from '#platform/errors.ts';
import { newSecret } from '#platform/ids.ts';

import { MlsMember } from './mls-member.ts';

/** A group that had seven members and has five, with a blank leaf, an unmerged leaf and non-blank parents. */
export interface GroupWithHistory {
  readonly groupId: Buffer;
  /** The GroupInfos of all epochs, each exported by those of the three members below who were in it. */
  readonly groupInfos: readonly Uint8Array[];
  readonly creator: MlsMember;
  readonly anna: MlsMember;
  readonly carl: MlsMember;
}

/** Creates the group and its history of commits. */
export async function createGroupWithHistory(
  cipherSuite: string,
  { creatorDid = 'did:plc:creator', annaDid = 'did:plc:anna' } = {},
): Promise<GroupWithHistory> {
  const others = ['bert', 'carl', 'dora', 'emil', 'fred'].map((name) => `did:plc:${name}`);
  const people = await Promise.all(
    [creatorDid, annaDid, ...others].map((did) => MlsMember.create({ did, cipherSuite })),
  );
  const [creator, anna, carl] = [0, 1, 3].map((at) => required(people[at], 'a member'));
  if (creator === undefined || anna === undefined || carl === undefined) throw new Error('a member is missing');
  const packages = await Promise.all(people.slice(1).map((joiner) => joiner.createKeyPackage()));
  const groupId = newSecret(32);
  await creator.createGroup(groupId);
  const groupInfos = [await creator.exportGroupInfo()];
  const { welcome, groupInfo: first } = await creator.addMembers(packages.slice(0, 5).map(({ bytes }) => bytes));
  creator.acceptCommit();
  await Promise.all([anna, carl].map((joiner) => joiner.joinByWelcome(required(welcome, 'a Welcome'))));
  groupInfos.push(first, await anna.exportGroupInfo(), await carl.exportGroupInfo());
  const steps = [
    () => creator.removeMember('did:plc:bert'),
    () => creator.emptyCommit(),
    () => creator.removeMember('did:plc:dora'),
    () => creator.emptyCommit(),
    () => creator.addMembers(packages.slice(5).map(({ bytes }) => bytes)),
  ];
  for (const step of steps) {
    const { commit, groupInfo } = await step();
    creator.acceptCommit();
    await anna.receive(commit);
    await carl.receive(commit);
    groupInfos.push(groupInfo, await anna.exportGroupInfo(), await carl.exportGroupInfo());
  }
  return { groupId, groupInfos, creator, anna, carl };
}
