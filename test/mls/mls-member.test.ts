import { describe, expect, it } from 'vitest';

import { MlsMember } from '../support/mls/mls-member.ts';

const SUITES = ['MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519', 'MLS_128_DHKEMP256_AES128GCM_SHA256_P256'];

async function membersOf(cipherSuite: string, names: readonly string[]): Promise<MlsMember[]> {
  return Promise.all(names.map((name) => MlsMember.create({ did: `did:plc:${name}`, cipherSuite })));
}

/** Creates a group of Alice with Bob and Carol, at epoch 1. */
async function groupOfThree(cipherSuite: string): Promise<[MlsMember, MlsMember, MlsMember]> {
  const [alice, bob, carol] = await membersOf(cipherSuite, ['alice', 'bob', 'carol']);
  if (alice === undefined || bob === undefined || carol === undefined) throw new Error('no members');
  await alice.createGroup(crypto.getRandomValues(new Uint8Array(16)));
  const packages = [await bob.createKeyPackage(), await carol.createKeyPackage({ lastResort: 'extension' })];
  const { welcome } = await alice.addMembers(packages.map(({ bytes }) => bytes));
  if (welcome === undefined) throw new Error('no Welcome');
  alice.acceptCommit();
  await bob.joinByWelcome(welcome);
  await carol.joinByWelcome(welcome);
  return [alice, bob, carol];
}

describe.each(SUITES)('the test client with %s', (cipherSuite) => {
  it('sends text of any size from one member to all others, with both kinds of padding', async () => {
    const [alice, bob, carol] = await groupOfThree(cipherSuite);
    for (const sizeBytes of [0, 1, 200, 350, 420, 500, 900, 8_000, 16_200, 16_384, 40_000]) {
      for (const padding of ['envelope', 'inner'] as const) {
        const text = 'é'.repeat(sizeBytes / 2);
        const padded = await alice.encrypt(text, padding);
        expect(await bob.receive(padded)).toEqual({ kind: 'application', text });
        expect(await carol.receive(padded)).toEqual({ kind: 'application', text });
      }
    }
  });

  it('enters a new epoch when its commit is accepted, and stays in its epoch when it is rejected', async () => {
    const [alice, bob, carol] = await groupOfThree(cipherSuite);
    const mine = await alice.emptyCommit();
    const theirs = await bob.emptyCommit({ wire: 'private' });
    expect([mine.epoch, theirs.epoch, alice.epoch, bob.epoch]).toEqual([1, 1, 1, 1]);
    bob.acceptCommit();
    alice.rejectCommit();
    expect(() => alice.acceptCommit()).toThrow('no commit is pending');
    for (const member of [alice, carol]) {
      expect(await member.receive(theirs.commit)).toEqual({ kind: 'commit', removed: false });
      expect([member.epoch, member.epochAuthenticator]).toEqual([2, bob.epochAuthenticator]);
    }
  });

  it('reports the removal to a removed member, and includes a proposal in the next commit', async () => {
    const [alice, bob, carol] = await groupOfThree(cipherSuite);
    const proposal = await alice.proposeRemoval(carol.did);
    for (const member of [bob, carol]) expect(await member.receive(proposal)).toEqual({ kind: 'proposal' });
    const { commit } = await bob.emptyCommit();
    bob.acceptCommit();
    expect(await alice.receive(commit)).toEqual({ kind: 'commit', removed: false });
    expect(await carol.receive(commit)).toEqual({ kind: 'commit', removed: true });
    expect(alice.members()).toEqual([alice.did, bob.did]);
  });

  it('joins and rejoins by external commit', async () => {
    const [alice, bob, carol] = await groupOfThree(cipherSuite);
    const [dave] = await membersOf(cipherSuite, ['dave']);
    if (dave === undefined) throw new Error('no member');
    const joined = await dave.externalJoin(await alice.exportGroupInfo());
    dave.acceptCommit();
    for (const member of [alice, bob, carol]) await member.receive(joined.commit);
    const back = await dave.externalJoin(joined.groupInfo);
    dave.acceptCommit();
    for (const member of [alice, bob, carol]) await member.receive(back.commit);
    expect(alice.members()).toEqual([alice.did, bob.did, carol.did, dave.did]);
    expect(new Set([alice, bob, carol, dave].map((member) => member.epochAuthenticator)).size).toBe(1);
  });

  it('uses a last-resort package in two groups of one device', async () => {
    const [alice, bob] = await membersOf(cipherSuite, ['alice', 'bob']);
    if (alice === undefined || bob === undefined) throw new Error('no members');
    const { bytes } = await bob.createKeyPackage({ lastResort: 'component' });
    for (const [inviter, joiner] of [
      [alice, bob],
      [alice.inAnotherGroup(), bob.inAnotherGroup()],
    ] as const) {
      await inviter.createGroup(crypto.getRandomValues(new Uint8Array(16)));
      const { welcome } = await inviter.addMembers([bytes], { wire: 'private' });
      if (welcome === undefined) throw new Error('no Welcome');
      inviter.acceptCommit();
      await joiner.joinByWelcome(welcome);
      expect(joiner.epochAuthenticator).toBe(inviter.epochAuthenticator);
    }
  });
});
