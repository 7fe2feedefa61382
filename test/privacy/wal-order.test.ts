import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { accountPseudonym } from '#domain/accounts/account.ts';
import { ensureAccount } from '#domain/accounts/ensure-account.ts';
import { keyPackageOwner } from '#domain/key-packages/key-package.ts';
import { applyDeferredWrites } from '#domain/deferred-writes/apply-deferred-writes.ts';
import { simulateUse } from '../support/mls/simulated-use.ts';
import type { SimulatedUse } from '../support/mls/simulated-use.ts';
import { DebianPostgres, hasDebianPostgres } from '../support/postgres/debian-postgres.ts';
import { randomPeople, startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness } from '../support/domain-harness.ts';
import { guesses, measure } from '../support/privacy/tie-attacks.ts';
import type { ConversationRows, GuessName, HeaderRow } from '../support/privacy/tie-attacks.ts';

/**
 * What the WAL in a stolen data folder adds: it lists every version of every row with its transaction, in order, until
 * its segment is recycled. It reveals that a claim of a key package comes directly before the Welcome that uses it. The
 * test fails when the figures of docs/decisions/0022 no longer hold, in either direction.
 */
let postgres: DebianPostgres;
let harness: DomainHarness;
let life: SimulatedUse;
/** The transactions that wrote or locked each row, by relation, page and row number. */
let histories: ReadonlyMap<string, readonly number[]>;

const placed = /rel \d+\/\d+\/(\d+) blk (\d+)/g;

/** Follows each row from its insertion through its updates. */
function readHistories(dump: string): ReadonlyMap<string, readonly number[]> {
  const rows = new Map<string, readonly number[]>();
  for (const line of dump.split('\n')) {
    if (!line.startsWith('rmgr: Heap ')) continue;
    const xid = Number(/tx:\s*(\d+)/.exec(line)?.[1]);
    const [now, before = now] = [...line.matchAll(placed)].map(([, rel = '', page = '']) => `${rel} ${page}`);
    const [inserted, locked, updated] = [
      /desc: INSERT(?:\+INIT)? off (\d+)/,
      /desc: LOCK off (\d+)/,
      /desc: (?:HOT_)?UPDATE(?:\+INIT)? off (\d+).*?new off (\d+)/,
    ].map((form) => form.exec(line));
    if (inserted) rows.set(`${now} ${inserted[1]}`, [xid]);
    if (locked) rows.set(`${now} ${locked[1]}`, [...(rows.get(`${now} ${locked[1]}`) ?? []), xid]);
    if (updated) {
      const earlier = rows.get(`${before} ${updated[1]}`) ?? [];
      rows.delete(`${before} ${updated[1]}`);
      rows.set(`${now} ${updated[2]}`, [...earlier, xid]);
    }
  }
  return rows;
}

async function dumpWal(): Promise<string> {
  await harness.database.sql`SELECT pg_switch_wal()`;
  const segments = (await readdir(join(postgres.folder, 'stolen/pg_wal'))).filter((name) =>
    /^[0-9A-F]{24}$/.test(name),
  );
  const dumps = [];
  for (const name of segments.toSorted()) {
    // An unused segment contains no records, and pg_waldump fails on it.
    dumps.push(await postgres.run('pg_waldump', '--rmgr=Heap', join('stolen/pg_wal', name)).catch(() => ''));
  }
  return dumps.join('\n');
}

interface PlacedRow {
  readonly place: string;
  readonly values: Readonly<Record<string, unknown>>;
}

async function readRows(table: string): Promise<PlacedRow[]> {
  const { sql } = harness.database;
  const rows = await sql`
    SELECT pg_relation_filenode(tableoid) || ' ' || (ctid::text::point)[0]::integer || ' ' || (ctid::text::point)[1]::integer AS "rowPlace", t.*
    FROM ${sql(table)} t`;
  return rows.map(({ rowPlace, ...values }) => ({ place: String(rowPlace), values }));
}

async function readPeople(table: string, column: string, nameOf: (did: string) => Buffer): Promise<HeaderRow[]> {
  const didOf = new Map(life.people.map((did) => [nameOf(did).toString('hex'), did]));
  return (await readRows(table))
    .filter(({ values }) => table !== 'key_packages' || values['state'] !== 1)
    .map(({ place, values }) => ({
      xids: histories.get(place) ?? [],
      place: 0,
      did: didOf.get((values[column] as Buffer).toString('hex')) ?? 'idle',
    }))
    .filter(({ xids }) => xids.length > 0);
}

async function readConversations(): Promise<ConversationRows[]> {
  const rows = await readRows('conversations');
  return life.conversations.flatMap(({ groupId, dids }) => {
    const row = rows.find(({ values }) => (values['group_id'] as Buffer).equals(groupId));
    const xids = row === undefined ? [] : (histories.get(row.place) ?? []);
    return xids.length === 0 ? [] : [{ xids, place: 0, dids }];
  });
}

const skipReason = hasDebianPostgres ? '' : ' (skipped: pg_waldump comes with the package postgresql-15)';

beforeAll(async () => {
  if (!hasDebianPostgres) return;
  postgres = await DebianPostgres.open();
  await postgres.create('stolen', ['wal_keep_size = 1GB']);
  harness = await startDomainHarness({ databaseUrl: await postgres.start('stolen') });
  for (const did of randomPeople(200)) await ensureAccount(harness.server, did);
  life = await simulateUse(harness.server, { people: 40, conversations: 60, applyEvery: 10 }, () =>
    applyDeferredWrites(harness.server),
  );
  histories = readHistories(await dumpWal());
}, 300_000);
afterAll(async () => {
  if (!hasDebianPostgres) return;
  await harness.close();
  await postgres.close();
});

test.skipIf(!hasDebianPostgres)(
  `WAL reveals claims of key packages next to the conversations that use them${skipReason}`,
  async () => {
    const conversations = await readConversations();
    expect(conversations.length).toBeGreaterThan(50);
    const { privacy } = harness;
    const tables = {
      accounts: await readPeople('accounts', 'account', (did) => accountPseudonym(privacy, did)),
      key_packages: await readPeople('key_packages', 'owner', (did) => keyPackageOwner(privacy, did)),
    };
    const rates = Object.entries(tables).flatMap(([table, people]) =>
      (Object.keys(guesses) as GuessName[])
        .filter((guess) => guess !== 'place in the table')
        .map((guess) => [`${table}, ${guess}`, measure(guesses[guess], conversations, people)] as const),
    );
    process.stdout.write(`WAL: ${JSON.stringify(Object.fromEntries(rates), null, 2)}\n`);
    const rateOf = new Map(rates);
    // The documented leak.
    expect(rateOf.get('key_packages, last transaction before')?.rate).toBeGreaterThan(0.5);
    // No transaction writes rows of both.
    for (const table of ['accounts', 'key_packages']) {
      const { rate = 1, chance = 0, spread = 0 } = rateOf.get(`${table}, same transaction`) ?? {};
      expect(rate).toBeLessThanOrEqual(chance + 0.02 + 3 * spread);
    }
  },
);
