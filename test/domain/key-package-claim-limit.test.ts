import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureAccount } from '#domain/accounts/ensure-account.ts';
import { claimKeyPackages } from '#domain/key-packages/claiming/claim-key-packages.ts';
import type { ClaimLimit } from '#domain/key-packages/claiming/claim-limit.ts';
import { countAvailable } from '#domain/key-packages/store.ts';
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

const spentBudget: ClaimLimit = { take: () => false, refund: () => undefined };

/** What was asked of a budget that always has room, as `take` and `refund` of an owner. */
function recordingBudget(): ClaimLimit & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    take: (_caller, did) => asked.push(`take ${did}`) > 0,
    refund: (_caller, did) => void asked.push(`refund ${did}`),
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

const left = (did: string): Promise<number> =>
  countAvailable(
    harness.server.db,
    keyPackageOwner(harness.privacy, did),
    harness.privacy.pseudonym('device-tag', [did], 'phone'),
  );

// The newest package of a snapshot is never taken, so of claimers who lock the last two at once one goes without.
test.each([2, 3, 40])(
  '100 drainers on two servers leave one of %i one-time packages and the last resort',
  async (oneTime) => {
    const owner = await newOwner({ oneTime, lastResort: true });
    const answers = await Promise.all(
      randomPeople(100).map((caller, index) => claim(servers[index % 2] ?? harness.server, caller, [owner.did])),
    );
    expect(answers.every((refs) => refs.length === 1)).toBe(true);
    const handedOut = answers.flat().filter((ref) => ref !== owner.lastResort);
    expect([handedOut.length, new Set(handedOut).size]).toEqual([oneTime - 1, oneTime - 1]);
    expect(await left(owner.did)).toBe(2);
  },
);

test('a new package takes the place of the reserve, which is then handed out', async () => {
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

test('a used-up budget gives the last-resort package instead, and the same package again to whoever has one', async () => {
  const owner = await newOwner({ oneTime: 10, lastResort: true });
  const [early = '', late = ''] = randomPeople(2);
  const before = await claim(harness.server, early, [owner.did]);
  expect(await claim(harness.server, early, [owner.did], spentBudget)).toEqual(before);
  expect(await claim(harness.server, late, [owner.did], spentBudget)).toEqual([owner.lastResort]);
  expect(await left(owner.did)).toBe(9 + 1);
});

test('a used-up budget leaves a device without a last-resort package its last one', async () => {
  const owner = await newOwner({ oneTime: 5 });
  const answers = await Promise.all(
    randomPeople(20).map((caller, index) =>
      claim(servers[index % 2] ?? harness.server, caller, [owner.did], spentBudget),
    ),
  );
  expect(answers.filter((refs) => refs.length === 1)).toHaveLength(4);
  expect(await left(owner.did)).toBe(1);
});

test('a charge stays only where a one-time package has left the stock', async () => {
  const [stocked, spare] = [await newOwner({ oneTime: 5 }), await newOwner({ oneTime: 0, lastResort: true })];
  const [caller = '', stranger = ''] = randomPeople(2);
  const first = recordingBudget();
  await claim(harness.server, caller, [stocked.did, spare.did, stranger], first);
  expect(first.asked).toEqual([`take ${stocked.did}`, `take ${spare.did}`, `refund ${spare.did}`]);
  const again = recordingBudget();
  await claim(harness.server, caller, [stocked.did], again);
  expect(again.asked).toEqual([`take ${stocked.did}`, `refund ${stocked.did}`]);
});

test("packages of the caller's own devices are free, and so are made-up people", async () => {
  const owner = await newOwner({ oneTime: 2 });
  const budget = recordingBudget();
  expect(await claim(harness.server, owner.did, [owner.did, ...randomPeople(50)], budget)).toHaveLength(1);
  expect(budget.asked).toEqual([]);
});
