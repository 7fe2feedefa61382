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
import { blankLeaf, createKnownGroup, gatherKnownCast, leavesOfGroup } from '../support/mls/known-group.ts';
import type { Cast, KnownGroup, Name } from '../support/mls/known-group.ts';

// What a commit in clear really holds, against what the call says: every method, every role, every content, by value and by reference.

let harness: DomainHarness;
let server: TestServer;
let cast: Cast;
let shared: KnownGroup;

beforeAll(async () => {
  harness = await startDomainHarness();
  server = { ...harness.server, requireFraming: true };
  cast = await gatherKnownCast();
  shared = await createKnownGroup(server, cast);
});
afterAll(() => harness.close());

const newcomer = randomPlcDid();
const stranger = randomPlcDid();

const methods = ['addMembers', 'commit', 'removeMember', 'leaveConvo'] as const;
type Method = (typeof methods)[number];
const callers = { member: 'bob', moderator: 'carol', admin: 'dave', former: 'eve' } as const;
type Role = keyof typeof callers | 'stranger';
const roles: readonly Role[] = ['member', 'moderator', 'admin', 'former', 'stranger'];

/** A rule of `refusalReasons.InvalidCommit`, `format`, or nothing: accepted. */
type Rule = keyof typeof refusalReasons.InvalidCommit | 'format' | undefined;
type Outcome = Rule | ((method: Method, role: Role) => Rule);

interface Content {
  readonly name: string;
  /** Beyond what the method is for. */
  readonly more?: (self: Name) => readonly Buffer[];
  /** In place of what the method is for. */
  readonly instead?: Partial<Record<Method, (self: Name) => readonly Buffer[]>>;
  readonly leaf?: (self: Name) => number;
  /** Of the path's leaf. */
  readonly path?: string | undefined;
  readonly outcome: Outcome;
  /** By reference it says something else, or cannot be said. */
  readonly byReference?: 'no';
}

const first = (name: Name): number => leavesOfGroup[name][0];
const removes = (...leaves: readonly number[]): readonly Buffer[] => leaves.map((leaf) => proposals.remove(leaf));
const adminsOnly: Outcome = (_method, role) => (role === 'admin' ? undefined : 'adminOnly');
const other = (self: Name): Name => (self === 'carol' ? 'bob' : 'carol');

const contents: readonly Content[] = [
  { name: 'what the method is for', outcome: undefined, byReference: 'no' },
  { name: 'adds somebody undeclared', more: () => [proposals.add(stranger)], outcome: 'addUndeclared' },
  { name: 'adds somebody who left', more: () => [proposals.add(cast.dids.eve)], outcome: 'addUndeclared' },
  { name: 'adds what is no DID', more: () => [proposals.add('Bob')], outcome: 'addIdentity', byReference: 'no' },
  { name: 'adds a device of an admin', more: () => [proposals.add(cast.dids.alice)], outcome: undefined },
  {
    name: 'adds a device of the member whom removeMember removes',
    more: () => [proposals.add(cast.dids.gina)],
    outcome: (method) => (method === 'removeMember' ? 'addUndeclared' : undefined),
  },
  {
    name: 'adds a device of the caller',
    more: (self) => [proposals.add(cast.dids[self])],
    outcome: (method) => (method === 'leaveConvo' ? 'addUndeclared' : undefined),
  },
  { name: 'removes the creator', more: () => removes(...leavesOfGroup.alice), outcome: 'removesMember' },
  { name: 'removes one device of the creator', more: () => removes(leavesOfGroup.alice[1]), outcome: 'removesMember' },
  { name: 'removes another member', more: (self) => removes(first(other(self))), outcome: 'removesMember' },
  {
    name: 'removes and adds somebody who did not ask for it',
    more: () => [...removes(first('alice')), proposals.add(cast.dids.alice)],
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
  { name: 'removes somebody who left', more: () => removes(first('eve')), outcome: undefined },
  { name: 'removes somebody who is on no roster', more: () => removes(first('ghost')), outcome: undefined },
  { name: 'removes a blank leaf', more: () => removes(blankLeaf), outcome: 'removesUnknown' },
  { name: 'removes a leaf behind the tree', more: () => removes(9_999), outcome: 'removesUnknown' },
  { name: 'ends the group', more: () => [proposals.reinit()], outcome: adminsOnly },
  { name: 'changes the group context', more: () => [proposals.groupContextExtensions()], outcome: adminsOnly },
  { name: 'mixes in PSKs', more: () => [proposals.externalPsk(), proposals.resumptionPsk()], outcome: undefined },
  {
    name: 'is external by its proposals',
    more: () => [proposals.externalInit()],
    outcome: 'format',
    byReference: 'no',
  },
  {
    name: 'updates by value',
    more: (self) => [proposals.update(cast.dids[self])],
    outcome: 'updateByValue',
    byReference: 'no',
  },
  {
    name: 'does not add the newcomer',
    instead: { addMembers: () => [] },
    outcome: (method) => (method === 'addMembers' ? 'newcomerNotAdded' : undefined),
    byReference: 'no',
  },
  {
    name: 'removes nobody',
    instead: { removeMember: () => [] },
    outcome: (method) => (method === 'removeMember' ? 'removesNobody' : undefined),
    byReference: 'no',
  },
  {
    name: 'removes one device of two',
    instead: { removeMember: () => removes(leavesOfGroup.gina[1]) },
    outcome: (method) => (method === 'removeMember' ? 'removesNotAll' : undefined),
    byReference: 'no',
  },
  { name: 'has the path of somebody else', path: stranger, outcome: 'pathIdentity', byReference: 'no' },
  { name: 'is signed by another member', leaf: (self) => first(other(self)), outcome: 'senderLeaf', byReference: 'no' },
  { name: 'is signed by a blank leaf', leaf: () => blankLeaf, outcome: 'senderLeaf', byReference: 'no' },
];

const purpose: Readonly<Record<Method, () => readonly Buffer[]>> = {
  addMembers: () => [proposals.add(newcomer)],
  commit: () => [],
  removeMember: () => removes(...leavesOfGroup.gina),
  leaveConvo: () => [],
};

/** The texts and names by which a rule is told; `none`: accepted. */
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
      return addMembers(server, { did }, { ...input, dids: [newcomer], welcome: undefined });
    case 'commit':
      return commitToGroup(server, { did }, { ...input, welcome: undefined });
    case 'removeMember':
      return removeMember(server, { did }, { ...input, targetDid: cast.dids.gina });
    case 'leaveConvo':
      return leaveConversation(server, { did }, { ...input, targetDid: undefined });
  }
}

/** Sends the proposal as Gina, in clear. @returns how a commit refers to it. */
async function sendAsGina(group: KnownGroup, proposal: Buffer): Promise<Buffer> {
  const { padded, ref } = craftClearProposal({ ...group, epoch: 1, leaf: first('gina'), proposal });
  const message = { conversationId: group.id, msgId: newUuid(), epoch: 1, paddedSize: padded.length };
  await sendMessage(server, { did: cast.dids.gina }, { ...message, ciphertext: padded });
  return byReference(ref);
}

interface Cell {
  readonly content: Content;
  readonly method: Method;
  readonly role: Role;
  readonly form: 'by value' | 'by reference';
}

function expectedOf({ content, method, role }: Cell): string {
  if (role === 'stranger') return 'ConvoNotFound';
  if (role === 'former') return 'NotMember';
  if (method === 'removeMember' && role !== 'admin') return 'NotAdmin';
  const { outcome } = content;
  return (typeof outcome === 'function' ? outcome(method, role) : outcome) ?? 'none';
}

async function run({ content, method, role, form }: Cell, group: KnownGroup): Promise<string> {
  const self: Name = role === 'stranger' ? 'bob' : callers[role];
  const own = (content.instead?.[method] ?? purpose[method])(self).map(byValue);
  const more = content.more?.(self) ?? [];
  const added =
    form === 'by value' ? more.map(byValue) : await Promise.all(more.map((proposal) => sendAsGina(group, proposal)));
  const leaf = content.leaf?.(self) ?? first(self);
  const did = content.path ?? cast.dids[self];
  const commit = craftClearCommit({ ...group, epoch: 1, leaf, did, proposals: [...own, ...added] });
  return ruleOf(call(method, role === 'stranger' ? stranger : cast.dids[self], group, commit));
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

describe.each(methods)('%s: what the commit holds', (method) => {
  test.for(contents)('$name', async (content) => {
    for (const cell of cells.filter((one) => one.method === method && one.content === content)) {
      const expected = expectedOf(cell);
      const group = expected === 'none' ? await createKnownGroup(server, cast) : shared;
      const before = await rosterOf(shared);
      expect(await run(cell, group), `${cell.role}, ${cell.form}`).toBe(expected);
      expect(await rosterOf(shared), `${cell.role}, ${cell.form}: a refusal changed something`).toEqual(before);
    }
  });
});

test('a commit that takes out somebody who waits for it ends the wait, whatever method brings it', async () => {
  for (const method of methods) {
    const group = await createKnownGroup(server, cast);
    const self = 'dave';
    const taken = [...purpose[method](), ...removes(first('eve'))].map(byValue);
    const commit = craftClearCommit({ ...group, epoch: 1, leaf: first(self), did: cast.dids[self], proposals: taken });
    await call(method, cast.dids[self], group, commit);
    const rows = await server.sql`SELECT 1 FROM members
      WHERE group_id = ${group.groupId} AND state = 2 AND removal_pending AND member <> ${server.privacy.pseudonym('member', [group.groupId], cast.dids.dave)}`;
    expect(rows, method).toHaveLength(0);
  }
});

describe('where no GroupInfo of the epoch is stored', () => {
  const commitOf = (group: KnownGroup, self: Name, ...given: readonly Buffer[]): Buffer =>
    craftClearCommit({ ...group, epoch: 1, leaf: first(self), did: cast.dids[self], proposals: given.map(byValue) });

  test('only an admin removes somebody, by removeMember', async () => {
    const group = await createKnownGroup(server, cast, 'unknown');
    const everybodyMay = { conversationId: group.id, change: { ...noChange, allowMemberRemove: true } };
    await updatePolicy(server, { did: cast.dids.alice }, everybodyMay);
    for (const [method, self] of [
      ['commit', 'bob'],
      ['commit', 'dave'],
      ['addMembers', 'dave'],
      ['leaveConvo', 'dave'],
      ['removeMember', 'bob'],
    ] as const) {
      const commit = commitOf(group, self, ...purpose[method](), ...removes(first('gina')));
      expect(await ruleOf(call(method, cast.dids[self], group, commit)), `${method} by ${self}`).toBe('unknownLeaves');
    }
    const empty = commitOf(group, 'dave');
    expect(await ruleOf(call('removeMember', cast.dids.dave, group, empty))).toBe('removesNobody');
    const commit = commitOf(group, 'dave', ...removes(...leavesOfGroup.gina));
    expect(await ruleOf(call('removeMember', cast.dids.dave, group, commit))).toBe('none');
  });

  test('a commit that removes nobody is taken, and its path must be the caller', async () => {
    const group = await createKnownGroup(server, cast, 'unknown');
    const foreign = craftClearCommit({ ...group, epoch: 1, leaf: 1, did: cast.dids.carol, proposals: [] });
    expect(await ruleOf(call('commit', cast.dids.bob, group, foreign))).toBe('pathIdentity');
    expect(await ruleOf(call('commit', cast.dids.bob, group, commitOf(group, 'bob')))).toBe('none');
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

test('a commit that refers to a proposal that was never sent in clear counts as encrypted', async () => {
  const group = await createKnownGroup(server, cast);
  const { ref } = craftClearProposal({ ...group, epoch: 1, leaf: 0, proposal: proposals.remove(first('alice')) });
  const commit = (...more: readonly Buffer[]): Buffer =>
    craftClearCommit({ ...group, epoch: 1, leaf: 1, did: cast.dids.bob, proposals: [byReference(ref), ...more] });
  const what = commit(byValue(proposals.remove(first('alice'))));
  expect(await ruleOf(call('commit', cast.dids.bob, group, what)), 'what can be read, counts').toBe('removesMember');
  expect(await ruleOf(call('commit', cast.dids.bob, group, commit()))).toBe('none');
});
