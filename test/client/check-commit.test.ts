import { decodeGroupState, encodeGroupState } from 'ts-mls';
import type { ClientState } from 'ts-mls';
import { expect, test } from 'vitest';
import { checkCommit, needsRoster } from '#client/conversation/check-commit.ts';
import type { LaterCommits, Roster } from '#client/conversation/check-commit.ts';
import type { CommitEffect, GroupState, MlsEngine, ProcessedMessage } from '#client/mls/mls-engine.ts';
import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';
import { required } from '#platform/errors.ts';

const nothing: CommitEffect = {
  committerDid: 'bob',
  addedDids: [],
  newDids: [],
  removed: [],
  changesCredential: false,
};
const removal = (did: string, proposerDid = 'bob'): Partial<CommitEffect> => ({ removed: [{ did, proposerDid }] });
const addition = (did: string): Partial<CommitEffect> => ({ addedDids: [did], newDids: [did] });
const roster: Roster = {
  epoch: 5,
  members: new Set(['alice', 'bob', 'carol']),
  admins: new Set(['alice']),
  departed: new Set(['erin']),
};
const later = (addedDids: string[], memberDids: string[]): LaterCommits => ({
  addedDids: new Set(addedDids),
  memberDids: new Set(memberDids),
});

const cases: readonly [string, Partial<CommitEffect>, LaterCommits | undefined, string | undefined][] = [
  ['the removal of a member', removal('carol'), undefined, 'removes-member'],
  [
    'the removal of a member by an admin',
    { ...removal('carol', 'alice'), committerDid: 'alice' },
    undefined,
    undefined,
  ],
  ["the removal of the committer's own device", removal('bob'), undefined, undefined],
  ['the removal of a device that its owner proposed', removal('carol', 'carol'), undefined, undefined],
  ['the removal that another member proposed', removal('carol', 'dave'), undefined, 'removes-member'],
  ['the removal of a person who is not a member', removal('dave'), undefined, undefined],
  ['the removal of a member who came back later', removal('carol'), later(['carol'], ['carol']), undefined],
  ['the removal of a member, and later commits', removal('carol'), later(['dave'], ['bob']), 'removes-member'],
  ['the replacement of the leaf of a member', { ...removal('carol'), addedDids: ['carol'] }, undefined, undefined],
  ['the addition of a member', addition('carol'), undefined, undefined],
  ['the addition of a person who is no member', addition('dave'), undefined, 'adds-non-member'],
  ['the addition of a person who left before the roster was read', addition('erin'), undefined, undefined],
  ['the addition of a person who is out of the group again', addition('dave'), later([], ['alice', 'bob']), undefined],
  ['the addition of a person who is still in the group', addition('dave'), later([], ['dave']), 'adds-non-member'],
  ['another DID in a leaf', { changesCredential: true }, undefined, 'changes-credential'],
];

test.each(cases)('%s: %o', (_name, effect, commits, reason) => {
  expect(checkCommit({ ...nothing, ...effect }, roster, commits)).toBe(reason);
});

test('a commit that changes only keys, or devices of a person, needs no roster', () => {
  const device = { addedDids: ['carol'], newDids: [] };
  const own = { ...removal('bob'), addedDids: ['bob'] };
  expect([{}, device, own].map((effect) => needsRoster({ ...nothing, ...effect }))).toEqual([false, false, false]);
  expect([removal('carol'), addition('dave')].map((effect) => needsRoster({ ...nothing, ...effect }))).toEqual([
    true,
    true,
  ]);
});

/** A group of Alice, who created it, and Bob. */
async function pair(engine: MlsEngine): Promise<{ ofAlice: GroupState; ofBob: GroupState }> {
  const [alice, bob] = [await engine.createIdentity('alice'), await engine.createIdentity('bob')];
  const packageOfBob = await engine.createKeyPackage(bob, { isLastResort: false });
  const created = await engine.createGroup(alice, new Uint8Array(16));
  const { nextState, welcome } = await engine.commit(created, [{ kind: 'add', keyPackage: packageOfBob.keyPackage }]);
  return { ofAlice: nextState, ofBob: await engine.joinByWelcome(required(welcome, 'a Welcome'), packageOfBob) };
}

function effectOf(processed: ProcessedMessage): CommitEffect {
  if (processed.kind !== 'commit') throw new TypeError('no commit');
  return processed.effect;
}

test('the engine reports a committer who gives their leaf the DID of another member', async () => {
  const engine = await createTsMlsEngine();
  const { ofAlice, ofBob } = await pair(engine);
  const forged = withDid(ofBob, 'alice');
  const { commit } = await engine.commit(forged, []);
  expect(effectOf(await engine.process(ofAlice, commit))).toMatchObject({
    committerDid: 'bob',
    changesCredential: true,
  });
  const honest = await engine.commit(ofBob, []);
  expect(effectOf(await engine.process(ofAlice, honest.commit))).toEqual(nothing);
});

test('the engine reports who joins by an external commit, and whose leaf that replaces', async () => {
  const engine = await createTsMlsEngine();
  const { ofAlice } = await pair(engine);
  const groupInfo = await engine.exportGroupInfo(ofAlice);
  const dave = await engine.createIdentity('dave');
  const joining = await engine.joinExternally(groupInfo, dave);
  const joined = await engine.process(ofAlice, joining.commit);
  const effect = { ...nothing, committerDid: 'dave', addedDids: ['dave'] };
  expect(effectOf(joined)).toEqual({ ...effect, newDids: ['dave'] });
  const again = await engine.joinExternally(await engine.exportGroupInfo(joined.nextState), dave);
  const removed = [{ did: 'dave', proposerDid: 'dave' }];
  expect(effectOf(await engine.process(joined.nextState, again.commit))).toEqual({ ...effect, removed });
});

test('the engine reports a commit that puts another leaf in the place of the own one', async () => {
  const engine = await createTsMlsEngine();
  const { ofAlice, ofBob } = await pair(engine);
  const own = await engine.createKeyPackage(await engine.createIdentity('bob'), { isLastResort: false });
  const { commit } = await engine.commit(ofAlice, [
    { kind: 'remove', leafIndex: 1 },
    { kind: 'add', keyPackage: own.keyPackage },
  ]);
  expect(await engine.process(ofBob, commit)).toMatchObject({
    kind: 'commit',
    isRemoved: true,
    effect: { committerDid: 'alice', addedDids: ['bob'], removed: [{ did: 'bob', proposerDid: 'alice' }] },
  });
});

/** The state with another DID in the own leaf, which the next commit signs. */
function withDid(bytes: GroupState, did: string): GroupState {
  const [state] = required(decodeGroupState(bytes, 0), 'a state');
  const ownNode = state.privatePath.leafIndex * 2;
  const ratchetTree = state.ratchetTree.map((node, index) => {
    if (index !== ownNode || node?.nodeType !== 'leaf') return node;
    const credential = { credentialType: 'basic', identity: new TextEncoder().encode(did) } as const;
    return { ...node, leaf: { ...node.leaf, credential } };
  });
  return encodeGroupState({ ...state, ratchetTree } as ClientState);
}
