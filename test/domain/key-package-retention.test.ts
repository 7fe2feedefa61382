import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { claimKeyPackages } from '#domain/key-packages/claiming/claim-key-packages.ts';
import { cleanKeyPackages } from '#domain/key-packages/clean-key-packages.ts';
import { keyPackageOwner, storedRef } from '#domain/key-packages/key-package.ts';
import { selectExpired, selectSurplus } from '#domain/key-packages/expired-and-surplus-store.ts';
import { acquireLease } from '#jobs/leases/acquire-lease.ts';
import { openLease, LeaseLostError } from '#jobs/leases/lease.ts';
import type { JobLease } from '#jobs/leases/lease.ts';
import { required } from '#platform/errors.ts';
import { newUuid } from '#platform/ids.ts';
import { plantKeyPackages, randomPeople, startDomainHarness, testSuite } from '../support/domain-harness.ts';
import type { DomainHarness, TestServer } from '../support/domain-harness.ts';
import { holdLease } from '../support/processes/held-lease.ts';
import { runJob } from '../support/processes/run-job.ts';

let harness: DomainHarness;
let servers: readonly [TestServer, TestServer];
beforeAll(async () => {
  harness = await startDomainHarness({ poolSize: 8 });
  servers = [harness.server, harness.addServer(8)];
});
afterAll(() => harness.close());

/** Stores packages. @returns their stored refs. */
async function plantNames(...plant: Parameters<typeof plantKeyPackages>): Promise<Buffer[]> {
  return (await plantKeyPackages(...plant)).map((ref) => storedRef(harness.privacy, ref));
}

const hex = (refs: readonly Buffer[]): string[] => refs.map((ref) => ref.toString('hex')).toSorted();

/** Registers the device whose tag the planted packages of this device name have. */
async function plantDevice(did: string, device = 'phone'): Promise<void> {
  const { privacy } = harness;
  await harness.database.sql`
    INSERT INTO devices (device_id, owner, key_id, tag, sealed_device, registered_at, last_seen_at)
    VALUES (${newUuid()}, ${privacy.pseudonym('device-owner', [], did)}, 1,
            ${privacy.pseudonym('device-tag', [did], device)}, '\\x00', now(), now())`;
}

/** Sets when the row's retention (`keptDays`) and the package's own lifetime (`ownDays`) end, in days from now. */
async function end(refs: readonly Buffer[], keptDays: number, ownDays: number): Promise<void> {
  await harness.database.sql`
    UPDATE key_packages SET kept_until = now() + make_interval(days => ${keptDays}),
      expires_at = now() + make_interval(days => ${ownDays}), published_at = now() - interval '100 days'
    WHERE ref IN ${harness.database.sql([...refs])}`;
}

async function left(refs: readonly Buffer[]): Promise<string[]> {
  const rows = await harness.database.sql<{ ref: Buffer }[]>`
    SELECT ref FROM key_packages WHERE ref IN ${harness.database.sql([...refs])}`;
  return hex(rows.map(({ ref }) => ref));
}

async function claimed(owner: string): Promise<string[]> {
  const [caller = ''] = randomPeople(1);
  const { packages } = await claimKeyPackages(
    harness.server,
    { did: caller },
    { dids: [owner], cipherSuite: testSuite },
  );
  return hex(packages.map(({ ref }) => storedRef(harness.privacy, ref)));
}

async function available(owner: string): Promise<number> {
  const [row] = await harness.database.sql<{ count: number }[]>`
    SELECT count(*)::integer AS count FROM key_packages
    WHERE owner = ${keyPackageOwner(harness.privacy, owner)} AND state = 1 AND NOT last_resort`;
  return row?.count ?? 0;
}

const clean = (): Promise<number> => runJob(harness.database, 'clean-key-packages');

test('of expired packages only the newest usable and the newest last-resort package of a registered device stay', async () => {
  const [owner = ''] = randomPeople(1);
  await plantDevice(owner);
  const oneTime = await plantNames(harness.server, { did: owner }, 3);
  const lastResort = await plantNames(harness.server, { did: owner, lastResort: true }, 2);
  const goneDevice = [
    ...(await plantNames(harness.server, { did: owner, device: 'never registered' }, 2)),
    ...(await plantNames(harness.server, { did: owner, device: 'never registered', lastResort: true }, 1)),
  ];
  await end([...oneTime, ...lastResort, ...goneDevice], -10, 900);
  await clean();
  const newest = (refs: readonly Buffer[]): Buffer =>
    required(refs.toSorted((a, b) => Buffer.compare(a, b)).at(-1), 'a ref');
  const expected = hex([newest(oneTime), newest(lastResort)]);
  expect(await left([...oneTime, ...lastResort, ...goneDevice])).toEqual(expected);
  // Both are still handed out: first the last-resort package, and after its deletion the reserve.
  expect(await claimed(owner)).toEqual(hex([newest(lastResort)]));
  await harness.database.sql`DELETE FROM key_packages WHERE ref = ${newest(lastResort)}`;
  expect(await claimed(owner)).toEqual(hex([newest(oneTime)]));
});

// Members check the lifetime in an Add (RFC 9420 section 7.3), so they would reject a commit with such a package.
test('a package past its own lifetime is not handed out; the last-resort one of a registered device stays stored', async () => {
  const [owner = ''] = randomPeople(1);
  await plantDevice(owner);
  const oneTime = await plantNames(harness.server, { did: owner }, 2);
  const lastResort = await plantNames(harness.server, { did: owner, lastResort: true }, 1);
  await end([...oneTime, ...lastResort], -10, -1);
  expect(await claimed(owner)).toEqual([]);
  await clean();
  expect(await left([...oneTime, ...lastResort])).toEqual(hex(lastResort));
  expect(await claimed(owner)).toEqual([]);
});

test('a newer package past its lifetime does not displace an older one that can still be used', async () => {
  const [owner = ''] = randomPeople(1);
  await plantDevice(owner);
  const usable = await plantNames(harness.server, { did: owner, lastResort: true }, 1);
  const ended = await plantNames(harness.server, { did: owner, lastResort: true }, 1);
  await end(usable, -1, 900);
  await end(ended, -1, -1);
  await harness.database.sql`
    UPDATE key_packages SET published_at = now() - interval '2 days' WHERE ref = ${required(ended[0], 'a ref')}`;
  await clean();
  expect(await left([...usable, ...ended])).toEqual(hex(usable));
  expect(await claimed(owner)).toEqual(hex(usable));
});

test('rows without kept_until, of an earlier release, are deleted at the end of the lifetime', async () => {
  const [owner = ''] = randomPeople(1);
  const refs = await plantNames(harness.server, { did: owner }, 2);
  await harness.database.sql`
    UPDATE key_packages SET kept_until = NULL, expires_at = now() - interval '1 second'
    WHERE ref = ${required(refs[0], 'a ref')}`;
  await harness.database.sql`UPDATE key_packages SET kept_until = NULL WHERE ref = ${required(refs[1], 'a ref')}`;
  await clean();
  expect(await left(refs)).toEqual(hex(refs.slice(1)));
});

test('the surplus of a device includes neither the newest package of a cipher suite nor a last-resort package', async () => {
  const [owner = ''] = randomPeople(1);
  const rare = await plantNames(harness.server, { did: owner }, 2);
  await harness.database.sql`
    UPDATE key_packages SET cipher_suite = 3, published_at = published_at - interval '1 day'
    WHERE ref IN ${harness.database.sql(rare)}`;
  const common = await plantNames(harness.server, { did: owner }, 8);
  const lastResort = await plantNames(harness.server, { did: owner, lastResort: true }, 3);
  await runJob(harness.database, 'clean-key-packages', { MAX_KEY_PACKAGES_PER_DEVICE: '5' });
  const kept = common.toSorted((a, b) => Buffer.compare(a, b)).slice(3);
  const newestRare = rare.toSorted((a, b) => Buffer.compare(a, b)).slice(1);
  expect(await left([...rare, ...common, ...lastResort])).toEqual(hex([...kept, ...newestRare, ...lastResort]));
});

// A package changes its state or is deleted only under its row lock, and the job skips rows that a claimer has locked.
test('16 claimers during the clean-up: no package is handed out twice or deleted after its claim, and every claim gets one', async () => {
  const [owner = '', ...callers] = randomPeople(161);
  await plantDevice(owner);
  const planted = await plantNames(harness.server, { did: owner }, 300);
  await plantNames(harness.server, { did: owner, lastResort: true }, 1);
  const handed: string[] = [];
  const next = callers.values();
  let isOver = false;
  const job = (async (): Promise<number> => {
    let removed = 0;
    const { db } = harness.database;
    // On a fast machine the claimers end before the job has anything to delete.
    while (!isOver || removed === 0) {
      const keyPackagesPerDeviceMax = Math.max(20, (await available(owner)) - 5);
      const lease = await holdLease(harness.database);
      removed += (await cleanKeyPackages({ db, lease, keyPackagesPerDeviceMax, consumedTtlHours: 24 })).removed;
    }
    return removed;
  })();
  await Promise.all(
    Array.from({ length: 16 }, async (_, index) => {
      for (const caller of next) {
        const response = await claimKeyPackages(
          servers[index % 2] ?? harness.server,
          { did: caller },
          { dids: [owner], cipherSuite: testSuite },
        );
        expect({ missing: response.missing, count: response.packages.length }).toEqual({ missing: [], count: 1 });
        handed.push(...hex(response.packages.map(({ ref }) => storedRef(harness.privacy, ref))));
      }
    }),
  );
  isOver = true;
  const removed = await job;
  const ordinary = handed.filter((ref) => planted.some((each) => each.toString('hex') === ref));
  expect(new Set(ordinary).size).toBe(ordinary.length);
  const rows = await harness.database.sql<{ ref: Buffer; state: number }[]>`
    SELECT ref, state FROM key_packages WHERE ref IN ${harness.database.sql(planted)}`;
  expect(
    rows
      .filter(({ state }) => state === 2)
      .map(({ ref }) => ref.toString('hex'))
      .toSorted(),
  ).toEqual(ordinary.toSorted());
  expect(rows.length + removed).toBe(planted.length);
  expect(removed).toBeGreaterThan(0);
});

test('a worker whose lease has ended deletes nothing', async () => {
  const [owner = ''] = randomPeople(1);
  const past = await plantNames(harness.server, { did: owner, device: 'never registered' }, 3);
  await end(past, -1, -1);
  const { database } = harness;
  const taken = await acquireLease(database.sql, { job: 'test', leaseMs: 0 });
  if ('refused' in taken) throw new Error(taken.refused);
  const late = openLease(
    { database, clock: harness.server.clock },
    { job: 'test', fence: taken.fence, budgetMs: 60_000 },
  );
  await acquireLease(database.sql, { job: 'test', leaseMs: 0 });
  await expect(
    cleanKeyPackages({ db: database.db, lease: late, keyPackagesPerDeviceMax: 1, consumedTtlHours: 24 }),
  ).rejects.toThrow(LeaseLostError);
  expect(await left(past)).toEqual(hex(past));
});

test('the rows that a killed run has left are deleted by the next run', async () => {
  const [owner = ''] = randomPeople(1);
  const used = await plantNames(harness.server, { did: owner }, 3);
  const { database } = harness;
  await database.sql`
    UPDATE key_packages SET state = 3, consumed_at = now() - interval '25 hours' WHERE ref IN ${database.sql(used)}`;
  const lease = await holdLease(database);
  const killed: JobLease = {
    ...lease,
    inBatches: async (removeSome) => {
      await lease.step((tx) => removeSome(tx, 1));
      throw new Error('killed');
    },
  };
  const run = cleanKeyPackages({ db: database.db, lease: killed, keyPackagesPerDeviceMax: 200, consumedTtlHours: 24 });
  await expect(run).rejects.toThrow('killed');
  expect(await left(used)).toHaveLength(2);
  await clean();
  expect(await left(used)).toEqual([]);
});

test('the searches get no transaction id, so that they delay no event', async () => {
  const xids = await harness.database.db.transaction().execute(async (tx) => {
    await selectExpired(tx);
    await selectSurplus(tx, 1);
    return (await sql<{ xid: string | null }>`SELECT pg_current_xact_id_if_assigned()::text AS xid`.execute(tx)).rows;
  });
  expect(xids).toEqual([{ xid: null }]);
});
