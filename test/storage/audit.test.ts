import { afterAll, beforeEach, beforeAll, expect, test } from 'vitest';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { addAuditCounts, oldAuditEvents, readAuditEvents } from '#storage/rows/audit-events.ts';
import { removeExpiredRows } from '#storage/expiry/expiring-rows.ts';
import {
  appendOperatorAction,
  oldOperatorActions,
  readOperatorActions,
  verifyOperatorActions,
} from '#storage/rows/operator-actions.ts';
import type { ChainReport } from '#storage/rows/operator-actions.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';

let database: TestDatabase;
const ring = parseKeyRing(newKeyRingText());
beforeAll(async () => void (database = await createTestDatabase()));
afterAll(() => database.close());
beforeEach(() => database.sql`TRUNCATE audit_events, operator_actions`);

const daySeconds = 86_400;

test('counts that many servers add at once all count', async () => {
  const subjects = ['JwtExpired', 'JwtReplayed', 'BadJwt', 'AuthMissing'];
  await Promise.all(
    Array.from({ length: 40 }, (_, server) => {
      const counts = subjects.map((subject) => ({ kind: 'auth_failure', subject, count: 3 }));
      return addAuditCounts(database.sql, server % 2 === 0 ? counts : counts.toReversed(), daySeconds);
    }),
  );
  const events = await readAuditEvents(database.db, 2 * daySeconds);
  const totals = new Map<string, number>();
  // Midnight may pass during the test.
  for (const { subject, count } of events) totals.set(subject, count + (totals.get(subject) ?? 0));
  expect(Object.fromEntries(totals)).toEqual(Object.fromEntries(subjects.map((subject) => [subject, 120])));
  expect(events.every(({ bucket }) => bucket.getTime() % (daySeconds * 1_000) === 0)).toBe(true);
});

test('a value that could be a name or an address is refused by the table', async () => {
  for (const subject of ['did:plc:abc', '203.0.113.9', '2001:db8::1', 'a b', '', 'alice@example.com', 'x'.repeat(60)]) {
    const add = addAuditCounts(database.sql, [{ kind: 'ban', subject, count: 1 }], 60);
    await expect(add, subject).rejects.toThrow('violates check constraint');
  }
  expect(await readAuditEvents(database.db, daySeconds)).toEqual([]);
});

function removeOld(ttlDays: number): Promise<number[]> {
  const kinds = [oldAuditEvents(ttlDays), oldOperatorActions(ttlDays)];
  return Promise.all(
    kinds.map((kind) => database.db.transaction().execute((tx) => removeExpiredRows(tx, kind, 1_000))),
  );
}

test('rows past their retention are removed, others are not, and the last operator action always remains', async () => {
  const { sql, db } = database;
  await sql`INSERT INTO audit_events
    SELECT date_trunc('minute', now()) - make_interval(hours => hours), 'ban', 'address', 1 FROM generate_series(0, 200) AS hours`;
  for (let nth = 0; nth < 3; nth++) await appendOperatorAction({ db, ring }, { action: 'migrate.up', subject: 'none' });
  await sql`ALTER TABLE operator_actions DISABLE TRIGGER operator_actions_stay`;
  await sql`UPDATE operator_actions SET taken_at = taken_at - interval '30 days'`;
  await sql`ALTER TABLE operator_actions ENABLE TRIGGER operator_actions_stay`;
  expect(await removeOld(3)).toEqual([201 - 72, 2]);
  const [oldest] = await readAuditEvents(db, 30 * daySeconds);
  const ageHours = (Date.now() - (oldest?.bucket.getTime() ?? 0)) / 3_600_000;
  expect(ageHours).toBeGreaterThanOrEqual(71);
  expect(ageHours).toBeLessThanOrEqual(72.1);
  expect(await removeOld(3)).toEqual([0, 0]);
  await appendOperatorAction({ db, ring }, { action: 'migrate.up', subject: 'none' });
  const numbers = await sql<{ no: number }[]>`SELECT action_no AS no FROM operator_actions ORDER BY 1`;
  expect(numbers.map(({ no }) => no)).toEqual([3, 4]);
});

async function chainOf(length: number): Promise<void> {
  const { db } = database;
  for (let nth = 0; nth < length; nth++)
    await appendOperatorAction({ db, ring }, { action: 'jobs.run', subject: 'compact-events' });
}

const verify = (): Promise<ChainReport> => verifyOperatorActions({ db: database.db, ring });

test('concurrent operators append to one chain without a break', async () => {
  await Promise.all(Array.from({ length: 12 }, () => chainOf(1)));
  expect(await verify()).toEqual({ count: 12, firstNo: 1, lastNo: 12, broken: [], uncheckable: [] });
  const actions = await readOperatorActions(database.db, daySeconds);
  expect(actions.map(({ actionNo }) => actionNo)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
  expect(actions.every(({ takenAt }) => takenAt.getTime() % 60_000 === 0)).toBe(true);
});

test('an action cannot be changed by a statement that does not first disable the trigger', async () => {
  await chainOf(1);
  await expect(database.sql`UPDATE operator_actions SET subject = 'none'`).rejects.toThrow('never changed');
});

// Each statement is by an attacker who owns the database but does not have the key.
const tampering: readonly (readonly [what: string, statement: string, broken: readonly number[]])[] = [
  ['a changed word', `UPDATE operator_actions SET subject = 'none' WHERE action_no = 3`, [3]],
  ['a changed time', `UPDATE operator_actions SET taken_at = taken_at - interval '1 hour' WHERE action_no = 2`, [2]],
  ['a changed digest', `UPDATE operator_actions SET digest = sha256('x') WHERE action_no = 4`, [4, 5]],
  ['an action taken out', `DELETE FROM operator_actions WHERE action_no = 3`, [4]],
  [
    'an action taken out and the others moved up',
    `DELETE FROM operator_actions WHERE action_no = 3; UPDATE operator_actions SET action_no = action_no - 1 WHERE action_no > 3`,
    [3, 4],
  ],
  [
    'an action put in',
    `INSERT INTO operator_actions SELECT 6, taken_at, action, 'none', key_id, digest, sha256('x') FROM operator_actions WHERE action_no = 5`,
    [6],
  ],
  [
    'an action written twice',
    `INSERT INTO operator_actions SELECT 6, taken_at, action, subject, key_id, previous_digest, digest FROM operator_actions WHERE action_no = 5`,
    [6],
  ],
  ['the first one replaced', `UPDATE operator_actions SET previous_digest = sha256('x') WHERE action_no = 1`, [1]],
];

test.each(tampering)('%s is detected', async (_what, statement, broken) => {
  await chainOf(5);
  await database.sql`ALTER TABLE operator_actions DISABLE TRIGGER operator_actions_stay`;
  await database.sql.unsafe(statement);
  await database.sql`ALTER TABLE operator_actions ENABLE TRIGGER operator_actions_stay`;
  expect((await verify()).broken).toEqual(broken);
});

test('actions of a previous key are verified with it, and reported as uncheckable without it', async () => {
  await chainOf(2);
  const changedKey = newKeyRingText();
  const other = parseKeyRing(`2:${newKeyRingText().slice(2)}`);
  const { db } = database;
  await appendOperatorAction({ db, ring: other }, { action: 'migrate.up', subject: 'none' });
  expect(await verify()).toMatchObject({ count: 3, broken: [], uncheckable: [3] });
  const both = { current: other.current, byId: (id: number) => other.byId(id) ?? ring.byId(id) };
  expect(await verifyOperatorActions({ db, ring: both })).toMatchObject({ broken: [], uncheckable: [] });
  // The same key id with other bytes.
  expect(await verifyOperatorActions({ db, ring: parseKeyRing(changedKey) })).toMatchObject({ broken: [1, 2] });
});
