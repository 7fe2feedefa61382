import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureAccount } from '#domain/accounts/ensure-account.ts';
import { claimKeyPackages } from '#domain/key-packages/claiming/claim-key-packages.ts';
import type { ClaimLimit } from '#domain/key-packages/claiming/claim-limit.ts';
import { countAvailableByTag } from '#domain/key-packages/store.ts';
import { keyPackageOwner, storedRef } from '#domain/key-packages/key-package.ts';
import { plantKeyPackages, randomPeople, startDomainHarness, testSuite } from '../support/domain-harness.ts';
import type { DomainHarness, TestServer } from '../support/domain-harness.ts';

let harness: DomainHarness;
let servers: readonly [TestServer, TestServer];

beforeAll(async () => {
  harness = await startDomainHarness({ poolSize: 8 });
  servers = [harness.server, harness.addServer(8)];
});
afterAll(() => harness.close());

const exhaustedLimit: ClaimLimit = { take: () => false, refund: () => undefined };

/** A limit that is never exhausted and records its calls, as `take` or `refund` and the owner. */
function recordingLimit(): ClaimLimit & { readonly calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    take: (_caller, did) => calls.push(`take ${did}`) > 0,
    refund: (_caller, did) => void calls.push(`refund ${did}`),
  };
}

async function newOwner(packages: { device?: string; oneTime: number; lastResort?: boolean }): Promise<{
  did: string;
  lastResort: string | undefined;
}> {
  const [did = ''] = randomPeople(1);
  await ensureAccount(harness.server, did);
  const device = packages.device ?? 'phone';
  await plantKeyPackages(harness.server, { did, device }, packages.oneTime);
  const [lastResort] =
    packages.lastResort === true ? await plantKeyPackages(harness.server, { did, device, lastResort: true }, 1) : [];
  return { did, lastResort: lastResort?.toString('hex') };
}

async function claim(
  server: TestServer,
  caller: string,
  dids: readonly string[],
  budget?: ClaimLimit,
): Promise<string[]> {
  const deps = budget === undefined ? server : { ...server, claimLimit: budget };
  const { packages } = await claimKeyPackages(deps, { did: caller }, { dids, cipherSuite: testSuite });
  return packages.map(({ ref }) => ref.toString('hex'));
}

async function left(did: string): Promise<number> {
  const counts = await countAvailableByTag(harness.server.db, keyPackageOwner(harness.privacy, did));
  const phone = harness.privacy.pseudonym('device-tag', [did], 'phone');
  return counts.find(({ tag }) => tag.equals(phone))?.count ?? 0;
}

// The newest package in a claim's snapshot is not handed out, so one one-time package is left after any number of
// claims.
test.each([2, 3, 40])(
  '100 claimers on two servers leave the reserve of %i one-time packages, and the last-resort package',
  async (oneTime) => {
    const owner = await newOwner({ oneTime, lastResort: true });
    const responses = await Promise.all(
      randomPeople(100).map((caller, index) => claim(servers[index % 2] ?? harness.server, caller, [owner.did])),
    );
    expect(responses.every((refs) => refs.length === 1)).toBe(true);
    const handedOut = responses.flat().filter((ref) => ref !== owner.lastResort);
    expect([handedOut.length, new Set(handedOut).size]).toEqual([oneTime - 1, oneTime - 1]);
    expect(await left(owner.did)).toBe(2);
  },
);

test('the reserve is handed out once a newer one-time package is published', async () => {
  const owner = await newOwner({ oneTime: 1, lastResort: true });
  const [first = '', second = ''] = randomPeople(2);
  expect(await claim(harness.server, first, [owner.did])).toEqual([owner.lastResort]);
  await plantKeyPackages(harness.server, { did: owner.did }, 1);
  expect(await claim(harness.server, second, [owner.did])).not.toEqual([owner.lastResort]);
});

test('without a last-resort package, or when it has expired, the reserve is handed out too', async () => {
  const [first = '', second = ''] = randomPeople(2);
  const bare = await newOwner({ oneTime: 1 });
  expect(await claim(harness.server, first, [bare.did])).toHaveLength(1);
  const owner = await newOwner({ oneTime: 1, lastResort: true });
  const expired = storedRef(harness.privacy, Buffer.from(owner.lastResort ?? '', 'hex'));
  await harness.database.sql`UPDATE key_packages SET expires_at = now() - interval '1 second' WHERE ref = ${expired}`;
  expect(await claim(harness.server, second, [owner.did])).toHaveLength(1);
  expect(await left(owner.did)).toBe(1);
});

test('when the limit is exhausted, new callers get the last-resort package, and earlier callers the same package as before', async () => {
  const owner = await newOwner({ oneTime: 10, lastResort: true });
  const [early = '', late = ''] = randomPeople(2);
  const before = await claim(harness.server, early, [owner.did]);
  expect(await claim(harness.server, early, [owner.did], exhaustedLimit)).toEqual(before);
  expect(await claim(harness.server, late, [owner.did], exhaustedLimit)).toEqual([owner.lastResort]);
  expect(await left(owner.did)).toBe(9 + 1);
});

test('when the limit is exhausted, a device without a last-resort package keeps its newest one-time package', async () => {
  const owner = await newOwner({ oneTime: 5 });
  const responses = await Promise.all(
    randomPeople(20).map((caller, index) =>
      claim(servers[index % 2] ?? harness.server, caller, [owner.did], exhaustedLimit),
    ),
  );
  expect(responses.filter((refs) => refs.length === 1)).toHaveLength(4);
  expect(await left(owner.did)).toBe(1);
});

test('a claim is only charged when a one-time package is handed out', async () => {
  const [supplied, spare] = [await newOwner({ oneTime: 5 }), await newOwner({ oneTime: 0, lastResort: true })];
  const [caller = '', unregistered = ''] = randomPeople(2);
  const first = recordingLimit();
  await claim(harness.server, caller, [supplied.did, spare.did, unregistered], first);
  expect(first.calls).toEqual([`take ${supplied.did}`, `take ${spare.did}`, `refund ${spare.did}`]);
  const repeated = recordingLimit();
  await claim(harness.server, caller, [supplied.did], repeated);
  expect(repeated.calls).toEqual([`take ${supplied.did}`, `refund ${supplied.did}`]);
});

test("packages of the caller's own devices and DIDs without an account are not charged", async () => {
  const owner = await newOwner({ oneTime: 2 });
  const budget = recordingLimit();
  expect(await claim(harness.server, owner.did, [owner.did, ...randomPeople(50)], budget)).toHaveLength(1);
  expect(budget.calls).toEqual([]);
});
