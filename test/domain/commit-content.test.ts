import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addMembers } from '#domain/membership/add-members.ts';
import { commitToGroup } from '#domain/membership/commits/commit-to-group.ts';
import { leaveConversation } from '#domain/membership/leave-conversation.ts';
import { removeMember } from '#domain/membership/remove-member.ts';
import { sendMessage } from '#domain/messages/send-message.ts';
import { updatePolicy } from '#domain/policies/update-policy.ts';
import { refusalReasons } from '#domain/refusal-reasons.ts';
import { AppError } from '#platform/errors.ts';
import { newUuid } from '#platform/ids.ts';
import { randomPlcDid } from '../support/clients/account.ts';
import {
  byReference,
  byValue,
  craftClearCommit,
  craftClearProposal,
  proposals,
} from '../support/mls/clear-handshakes.ts';
import { startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness, TestServer } from '../support/domain-harness.ts';
import { blankLeaf, createKnownGroup, createKnownPeople, leavesOfGroup } from '../support/mls/known-group.ts';
import type { KnownPeople, KnownGroup, Name } from '../support/mls/known-group.ts';

// Commits in clear are compared with the change that the call declares: every method, every role, every content, by
// value and by reference.

let harness: DomainHarness;
let server: TestServer;
let people: KnownPeople;
let shared: KnownGroup;

beforeAll(async () => {
  harness = await startDomainHarness();
  server = { ...harness.server, requireFraming: true };
  people = await createKnownPeople();
  shared = await createKnownGroup(server, people);
});
afterAll(() => harness.close());

const listedDid = randomPlcDid();
const nonMember = randomPlcDid();

const methods = ['addMembers', 'commit', 'removeMember', 'leaveConvo'] as const;
type Method = (typeof methods)[number];
const callers = { member: 'bob', moderator: 'carol', admin: 'dave', departed: 'eve' } as const;
type Role = keyof typeof callers | 'nonMember';
const roles: readonly Role[] = ['member', 'moderator', 'admin', 'departed', 'nonMember'];

/** The broken rule: a key of `refusalReasons.InvalidCommit`, or `format`; undefined when the commit is accepted. */
type Rule = keyof typeof refusalReasons.InvalidCommit | 'format' | undefined;
type Outcome = Rule | ((method: Method, role: Role) => Rule);

interface Content {
  readonly name: string;
  /** Proposals in addition to those of the method's purpose. */
  readonly more?: (self: Name) => readonly Buffer[];
  /** Proposals in place of those of the method's purpose. */
  readonly instead?: Partial<Record<Method, (self: Name) => readonly Buffer[]>>;
  readonly leaf?: (self: Name) => number;
  /** The identity in the path's leaf; the caller's DID if absent. */
  readonly path?: string | undefined;
  readonly outcome: Outcome;
  /** The content is only tried by value, because by reference it means something else or is impossible. */
  readonly byReference?: 'no';
}

const first = (name: Name): number => leavesOfGroup[name][0];
const removes = (...leaves: readonly number[]): readonly Buffer[] => leaves.map((leaf) => proposals.remove(leaf));
const adminsOnly: Outcome = (_method, role) => (role === 'admin' ? undefined : 'adminOnly');
const other = (self: Name): Name => (self === 'carol' ? 'bob' : 'carol');

const contents: readonly Content[] = [
  { name: 'what the method is for', outcome: undefined, byReference: 'no' },
  { name: 'adds an undeclared person', more: () => [proposals.add(nonMember)], outcome: 'addUndeclared' },
  { name: 'adds a person who left', more: () => [proposals.add(people.dids.eve)], outcome: 'addUndeclared' },
  {
    name: 'adds an identity that is not a DID',
    more: () => [proposals.add('Bob')],
    outcome: 'addIdentity',
    byReference: 'no',
  },
  { name: 'adds a device of an admin', more: () => [proposals.add(people.dids.alice)], outcome: undefined },
  {
    name: 'adds a device of the member whom removeMember removes',
    more: () => [proposals.add(people.dids.gina)],
    outcome: (method) => (method === 'removeMember' ? 'addUndeclared' : undefined),
  },
  {
    name: 'adds a device of the caller',
    more: (self) => [proposals.add(people.dids[self])],
    outcome: (method) => (method === 'leaveConvo' ? 'addUndeclared' : undefined),
  },
  { name: 'removes the creator', more: () => removes(...leavesOfGroup.alice), outcome: 'removesMember' },
  { name: 'removes one device of the creator', more: () => removes(leavesOfGroup.alice[1]), outcome: 'removesMember' },
  { name: 'removes another member', more: (self) => removes(first(other(self))), outcome: 'removesMember' },
  {
    name: 'removes and adds a member who did not request readdition',
    more: () => [...removes(first('alice')), proposals.add(people.dids.alice)],
    outcome: 'removesMember',
  },
  {
    name: 'removes the member whom removeMember removes',
    more: () => removes(...leavesOfGroup.gina),
    outcome: (method) => (method === 'removeMember' ? undefined : 'removesMember'),
  },
  {
    name: 'removes another device of the caller',
    more: (self) => removes(leavesOfGroup[self][1] ?? 0),
    outcome: undefined,
  },
  { name: 'removes the committer', more: (self) => removes(first(self)), outcome: 'removesCommitter' },
  { name: 'removes a person who left', more: () => removes(first('eve')), outcome: undefined },
  {
    name: 'removes a leaf of a person who was never a member',
    more: () => removes(first('unlisted')),
    outcome: undefined,
  },
  { name: 'removes a blank leaf', more: () => removes(blankLeaf), outcome: 'removesUnknown' },
  { name: 'removes a leaf index beyond the tree', more: () => removes(9_999), outcome: 'removesUnknown' },
  { name: 'ends the group', more: () => [proposals.reinit()], outcome: adminsOnly },
  { name: 'changes the group context', more: () => [proposals.groupContextExtensions()], outcome: adminsOnly },
  { name: 'injects PSKs', more: () => [proposals.externalPsk(), proposals.resumptionPsk()], outcome: undefined },
  {
    name: 'is external by its proposals',
    more: () => [proposals.externalInit()],
    outcome: 'format',
    byReference: 'no',
  },
  {
    name: 'updates by value',
    more: (self) => [proposals.update(people.dids[self])],
    outcome: 'updateByValue',
    byReference: 'no',
  },
  {
    name: 'does not add the listed person',
    instead: { addMembers: () => [] },
    outcome: (method) => (method === 'addMembers' ? 'listedMemberNotAdded' : undefined),
    byReference: 'no',
  },
  {
    name: 'does not remove the target of removeMember',
    instead: { removeMember: () => [] },
    outcome: (method) => (method === 'removeMember' ? 'targetNotRemoved' : undefined),
    byReference: 'no',
  },
  {
    name: 'removes one of the two devices of the target',
    instead: { removeMember: () => removes(leavesOfGroup.gina[1]) },
    outcome: (method) => (method === 'removeMember' ? 'targetPartlyRemoved' : undefined),
    byReference: 'no',
  },
  { name: 'has the path of another person', path: nonMember, outcome: 'pathIdentity', byReference: 'no' },
  { name: 'is signed by another member', leaf: (self) => first(other(self)), outcome: 'senderLeaf', byReference: 'no' },
  { name: 'is signed by a blank leaf', leaf: () => blankLeaf, outcome: 'senderLeaf', byReference: 'no' },
];

const purpose: Readonly<Record<Method, () => readonly Buffer[]>> = {
  addMembers: () => [proposals.add(listedDid)],
  commit: () => [],
  removeMember: () => removes(...leavesOfGroup.gina),
  leaveConvo: () => [],
};

/** The rule or error name of the refusal; `none` when the call succeeds. */
async function ruleOf(task: Promise<unknown>): Promise<string> {
  try {
    await task;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.code !== 'InvalidCommit') return String(error.code);
    const [rule] = Object.entries(refusalReasons.InvalidCommit).find(([, text]) => text === error.message) ?? [];
    return rule ?? 'format';
  }
  return 'none';
}

function call(method: Method, did: string, group: KnownGroup, commit: Buffer): Promise<number> {
  const input = { conversationId: group.id, commit, groupInfo: undefined, idempotencyKey: undefined };
  switch (method) {
    case 'addMembers':
      return addMembers(server, { did }, { ...input, dids: [listedDid], welcome: undefined });
    case 'commit':
      return commitToGroup(server, { did }, { ...input, welcome: undefined });
    case 'removeMember':
      return removeMember(server, { did }, { ...input, targetDid: people.dids.gina });
    case 'leaveConvo':
      return leaveConversation(server, { did }, { ...input, targetDid: undefined });
  }
}

/** Sends the proposal in clear as Gina. @returns the reference to it for a commit. */
async function sendAsGina(group: KnownGroup, proposal: Buffer): Promise<Buffer> {
  const { padded, ref } = craftClearProposal({ ...group, epoch: 1, leaf: first('gina'), proposal });
  const message = { conversationId: group.id, msgId: newUuid(), epoch: 1, paddedSize: padded.length };
  await sendMessage(server, { did: people.dids.gina }, { ...message, ciphertext: padded });
  return byReference(ref);
}

interface Cell {
  readonly content: Content;
  readonly method: Method;
  readonly role: Role;
  readonly form: 'by value' | 'by reference';
}

function expectedOf({ content, method, role }: Cell): string {
  if (role === 'nonMember') return 'ConvoNotFound';
  if (role === 'departed') return 'NotMember';
  if (method === 'removeMember' && role !== 'admin') return 'NotAdmin';
  const { outcome } = content;
  return (typeof outcome === 'function' ? outcome(method, role) : outcome) ?? 'none';
}

async function run({ content, method, role, form }: Cell, group: KnownGroup): Promise<string> {
  const self: Name = role === 'nonMember' ? 'bob' : callers[role];
  const own = (content.instead?.[method] ?? purpose[method])(self).map(byValue);
  const more = content.more?.(self) ?? [];
  const added =
    form === 'by value' ? more.map(byValue) : await Promise.all(more.map((proposal) => sendAsGina(group, proposal)));
  const leaf = content.leaf?.(self) ?? first(self);
  const did = content.path ?? people.dids[self];
  const commit = craftClearCommit({ ...group, epoch: 1, leaf, did, proposals: [...own, ...added] });
  return ruleOf(call(method, role === 'nonMember' ? nonMember : people.dids[self], group, commit));
}

const cells: Cell[] = contents.flatMap((content) =>
  methods.flatMap((method) =>
    roles.flatMap((role) => [
      { content, method, role, form: 'by value' as const },
      ...(content.byReference === 'no' ? [] : [{ content, method, role, form: 'by reference' as const }]),
    ]),
  ),
);

const rosterOf = (group: KnownGroup): Promise<unknown> =>
  server.sql`SELECT c.epoch, m.member, m.role, m.state, m.removal_pending FROM conversation_counters c
    JOIN members m USING (group_id) WHERE group_id = ${group.groupId} ORDER BY m.member`.then((rows) => [...rows]);

describe.each(methods)('%s with a commit that', (method) => {
  test.for(contents)('$name', async (content) => {
    for (const cell of cells.filter((one) => one.method === method && one.content === content)) {
      const expected = expectedOf(cell);
      const group = expected === 'none' ? await createKnownGroup(server, people) : shared;
      const before = await rosterOf(shared);
      expect(await run(cell, group), `${cell.role}, ${cell.form}`).toBe(expected);
      expect(await rosterOf(shared), `${cell.role}, ${cell.form}: a refusal changed something`).toEqual(before);
    }
  });
});

test('a commit of any method that removes the last leaf of a departed person clears their pending removal', async () => {
  for (const method of methods) {
    const group = await createKnownGroup(server, people);
    const self = 'dave';
    const taken = [...purpose[method](), ...removes(first('eve'))].map(byValue);
    const commit = craftClearCommit({
      ...group,
      epoch: 1,
      leaf: first(self),
      did: people.dids[self],
      proposals: taken,
    });
    await call(method, people.dids[self], group, commit);
    const rows = await server.sql`SELECT 1 FROM members
      WHERE group_id = ${group.groupId} AND state = 2 AND removal_pending AND member <> ${server.privacy.pseudonym('member', [group.groupId], people.dids.dave)}`;
    expect(rows, method).toHaveLength(0);
  }
});

describe('without a stored GroupInfo of the epoch', () => {
  const commitOf = (group: KnownGroup, self: Name, ...more: readonly Buffer[]): Buffer =>
    craftClearCommit({ ...group, epoch: 1, leaf: first(self), did: people.dids[self], proposals: more.map(byValue) });

  test('leaves can only be removed by an admin with removeMember', async () => {
    const group = await createKnownGroup(server, people, 'unknown');
    const membersMayRemove = { conversationId: group.id, change: { ...noChange, allowMemberRemove: true } };
    await updatePolicy(server, { did: people.dids.alice }, membersMayRemove);
    for (const [method, self] of [
      ['commit', 'bob'],
      ['commit', 'dave'],
      ['addMembers', 'dave'],
      ['leaveConvo', 'dave'],
      ['removeMember', 'bob'],
    ] as const) {
      const commit = commitOf(group, self, ...purpose[method](), ...removes(first('gina')));
      expect(await ruleOf(call(method, people.dids[self], group, commit)), `${method} by ${self}`).toBe(
        'unknownLeaves',
      );
    }
    const empty = commitOf(group, 'dave');
    expect(await ruleOf(call('removeMember', people.dids.dave, group, empty))).toBe('targetNotRemoved');
    const commit = commitOf(group, 'dave', ...removes(...leavesOfGroup.gina));
    expect(await ruleOf(call('removeMember', people.dids.dave, group, commit))).toBe('none');
  });

  test("a commit without Removes is accepted, and its path must have the caller's DID", async () => {
    const group = await createKnownGroup(server, people, 'unknown');
    const foreign = craftClearCommit({ ...group, epoch: 1, leaf: 1, did: people.dids.carol, proposals: [] });
    expect(await ruleOf(call('commit', people.dids.bob, group, foreign))).toBe('pathIdentity');
    expect(await ruleOf(call('commit', people.dids.bob, group, commitOf(group, 'bob')))).toBe('none');
  });
});

const noChange = {
  allowInvites: undefined,
  adminOnlyInvites: undefined,
  allowMemberAdd: undefined,
  allowMemberRemove: undefined,
  requireAdminApproval: undefined,
  maxMembers: undefined,
  handshakes: undefined,
};

test('a commit that refers to a proposal that was never sent in clear is checked only as far as it is in clear', async () => {
  const group = await createKnownGroup(server, people);
  const { ref } = craftClearProposal({ ...group, epoch: 1, leaf: 0, proposal: proposals.remove(first('alice')) });
  const commit = (...more: readonly Buffer[]): Buffer =>
    craftClearCommit({ ...group, epoch: 1, leaf: 1, did: people.dids.bob, proposals: [byReference(ref), ...more] });
  const mixed = commit(byValue(proposals.remove(first('alice'))));
  expect(await ruleOf(call('commit', people.dids.bob, group, mixed)), 'proposals by value are checked').toBe(
    'removesMember',
  );
  expect(await ruleOf(call('commit', people.dids.bob, group, commit()))).toBe('none');
});
