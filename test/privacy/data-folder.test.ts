import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accountPseudonym } from '#domain/accounts/account.ts';
import { ensureAccount } from '#domain/accounts/ensure-account.ts';
import { chatBlockPair, chatRecipient } from '#domain/chat-requests/chat-request.ts';
import { deviceOwner } from '#domain/devices/device.ts';
import { keyPackageOwner } from '#domain/key-packages/key-package.ts';
import { applyDeferredWrites } from '#domain/deferred-writes/apply-deferred-writes.ts';
import { simulateUse } from '../support/mls/simulated-use.ts';
import type { SimulatedUse, SimulatedConversation } from '../support/mls/simulated-use.ts';
import { randomPeople, startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness } from '../support/domain-harness.ts';
import { guesses, mean, measure, measureLinks } from '../support/privacy/tie-attacks.ts';
import type { ConversationRows, GuessName, HeaderRow, Measured } from '../support/privacy/tie-attacks.ts';

/**
 * What an attacker with the data folder and without the key can infer from the transaction ids in row headers (xmin,
 * xmax) and from row positions (ctid). The service is otherwise idle and calls are sequential, which is the best case
 * for the attacker. WAL is covered in test/privacy/wal-order.test.ts.
 */
const size = { people: 60, conversations: 120, applyEvery: 10 };
const idlePeopleCount = 300;
const pendingCount = 40;

/**
 * The maximum excess over chance with which a person is found in a conversation, in addition to three standard
 * deviations.
 */
const aboveChanceMax = 0.02;

const conversationTables = [
  'conversations',
  'conversation_counters',
  'members',
  'welcomes',
  'welcome_messages',
  'invites',
  'policies',
  'messages',
  'events',
] as const;

type PeopleTable = 'accounts' | 'devices' | 'key_packages' | 'chat_requests' | 'chat_sender_blocks';

let harness: DomainHarness;
let life: SimulatedUse;
let afterDeferredWrites: Folder;

/** The rows of the tables at one time, in their order on disk. */
interface Folder {
  readonly people: ReadonlyMap<PeopleTable, readonly HeaderRow[]>;
  readonly conversations: ReadonlyMap<string, readonly ConversationRows[]>;
}

interface RawRow {
  readonly xids: number[];
  readonly place: number;
  readonly values: Readonly<Record<string, unknown>>;
}

async function readRows(table: string): Promise<RawRow[]> {
  const { sql } = harness.database;
  const rows = await sql`
    SELECT xmin::text::bigint AS "headerXmin", xmax::text::bigint AS "headerXmax", t.* FROM ${sql(table)} t ORDER BY tableoid, ctid`;
  return rows.map(({ headerXmin, headerXmax, ...values }, index) => ({
    xids: [Number(headerXmin), Number(headerXmax)].filter((xid) => xid > 0),
    place: index / Math.max(1, rows.length - 1),
    values,
  }));
}

/** The column that identifies people in a table, and the DID of each of its values. */
function namesOf(table: PeopleTable): { column: string; didOf: ReadonlyMap<string, string> } {
  const { privacy } = harness;
  const byOwner = (column: string, owner: (did: string) => Buffer) => ({
    column,
    didOf: new Map(life.people.map((did) => [owner(did).toString('hex'), did])),
  });
  switch (table) {
    case 'accounts':
      return byOwner('account', (did) => accountPseudonym(privacy, did));
    case 'devices':
      return byOwner('owner', (did) => deviceOwner(privacy, did));
    case 'key_packages':
      return byOwner('owner', (did) => keyPackageOwner(privacy, did));
    case 'chat_requests':
      return byOwner('recipient', (did) => chatRecipient(privacy, did));
    case 'chat_sender_blocks': {
      const pairs = life.people.flatMap((recipientDid) =>
        life.people.map((senderDid) => [
          chatBlockPair(privacy, { recipientDid, senderDid }).toString('hex'),
          recipientDid,
        ]),
      );
      return { column: 'pair', didOf: new Map(pairs as [string, string][]) };
    }
  }
}

async function readFolder(conversations: readonly SimulatedConversation[]): Promise<Folder> {
  const people = new Map<PeopleTable, readonly HeaderRow[]>();
  for (const table of ['accounts', 'devices', 'key_packages', 'chat_requests', 'chat_sender_blocks'] as const) {
    const { column, didOf } = namesOf(table);
    const rows = await readRows(table);
    people.set(
      table,
      rows
        // Unclaimed packages were in no conversation.
        .filter(({ values }) => table !== 'key_packages' || values['state'] !== 1)
        .map(({ xids, place, values }) => ({
          xids,
          place,
          did: didOf.get((values[column] as Buffer).toString('hex')) ?? 'idle',
        })),
    );
  }
  const byTable = new Map<string, readonly ConversationRows[]>();
  for (const table of conversationTables) {
    const rows = await readRows(table);
    byTable.set(
      table,
      conversations.map(({ groupId, dids }) => {
        const own = rows.filter(({ values }) => (values['group_id'] as Buffer).equals(groupId));
        return { xids: own.flatMap(({ xids }) => xids), place: mean(own.map(({ place }) => place)), dids };
      }),
    );
  }
  return { people, conversations: byTable };
}

interface Finding extends Measured {
  readonly people: PeopleTable;
  readonly conversations: string;
  readonly guess: GuessName;
}

function findings(folder: Folder, by: typeof measure): Finding[] {
  return [...folder.people].flatMap(([people, rows]) =>
    [...folder.conversations].flatMap(([conversations, groups]) =>
      (Object.keys(guesses) as GuessName[]).map((guess) => ({
        people,
        conversations,
        guess,
        ...by(guesses[guess], groups, rows),
      })),
    ),
  );
}

/** The best guess for each table of people, in percent. */
function best(found: readonly Finding[]): unknown {
  const percent = (share: number): number => Math.round(share * 1_000) / 10;
  return [...new Set(found.map(({ people }) => people))].map((people) => {
    const own = found.filter((each) => each.people === people);
    const top = own.toSorted((a, b) => b.rate - b.chance - (a.rate - a.chance))[0];
    return (
      top && `${people} by ${top.conversations}, ${top.guess}: ${percent(top.rate)} %, chance ${percent(top.chance)} %`
    );
  });
}

const tooGood = (found: readonly Finding[]): readonly Finding[] =>
  found.filter(({ rate, chance, spread }) => rate > chance + aboveChanceMax + 3 * spread);

beforeAll(async () => {
  harness = await startDomainHarness();
  for (const did of randomPeople(idlePeopleCount)) await ensureAccount(harness.server, did);
  life = await simulateUse(harness.server, size, () => applyDeferredWrites(harness.server));
  afterDeferredWrites = await readFolder(life.conversations);
}, 300_000);
afterAll(() => harness.close());

describe('the measure', () => {
  const people = (xidOf: (nth: number) => number): HeaderRow[] =>
    Array.from({ length: 100 }, (_, nth) => ({ xids: [xidOf(nth)], place: nth / 99, did: String(nth) }));
  const groups = Array.from({ length: 100 }, (_, nth) => ({
    xids: [10 * nth + 5],
    place: nth / 99,
    dids: new Set([String(nth)]),
  }));
  test('detects rows in the same transaction, in the previous or next one, or in the same position', () => {
    expect(
      measure(
        guesses['same transaction'],
        groups,
        people((nth) => 10 * nth + 5),
      ).rate,
    ).toBe(1);
    expect(
      measure(
        guesses['last transaction before'],
        groups,
        people((nth) => 10 * nth + 4),
      ).rate,
    ).toBe(1);
    expect(
      measure(
        guesses['first transaction after'],
        groups,
        people((nth) => 10 * nth + 6),
      ).rate,
    ).toBe(1);
    expect(
      measure(
        guesses['place in the table'],
        groups,
        people(() => 1),
      ).rate,
    ).toBeCloseTo(0.1);
  });
  test('detects nothing when all rows are of one transaction', () => {
    const { rate, chance } = measure(
      guesses['last transaction before'],
      groups,
      people(() => 3),
    );
    expect(Math.abs(rate - chance)).toBeLessThan(0.001);
  });
});

test('rows of people reveal their conversations no better than chance: by same, previous or next transaction, or by position', () => {
  const found = findings(afterDeferredWrites, measure);
  // The figures of docs/decisions/0022.
  process.stdout.write(`person in conversation: ${JSON.stringify(best(found), null, 2)}\n`);
  expect(found).toHaveLength(5 * conversationTables.length * 4);
  expect(tooGood(found)).toEqual([]);
});

test('they do not reveal another conversation of the same person either', () => {
  const found = findings(afterDeferredWrites, measureLinks);
  process.stdout.write(`two conversations of one person: ${JSON.stringify(best(found), null, 2)}\n`);
  expect(tooGood(found)).toEqual([]);
});

test('neighbouring conversations have no more people in common than others', () => {
  for (const groups of afterDeferredWrites.conversations.values()) {
    const asPeople = groups.flatMap(({ xids, place, dids }) => [...dids].map((did) => ({ xids, place, did })));
    for (const guess of ['same transaction', 'last transaction before', 'first transaction after'] as const) {
      const { rate, chance, spread } = measure(
        (conversation, people) =>
          guesses[guess](
            conversation,
            people.filter(({ xids }) => xids !== conversation.xids),
          ),
        groups,
        asPeople,
      );
      expect(rate).toBeLessThanOrEqual(chance + aboveChanceMax + 3 * spread);
    }
  }
});

test('no value of a row of idempotency_keys occurs in another row', async () => {
  const keys = await readRows('idempotency_keys');
  expect(keys.length).toBeGreaterThan(size.conversations);
  const seen = new Map<string, number>();
  for (const { values } of keys)
    for (const column of ['digest', 'input_digest', 'sealed_answer']) {
      const value = (values[column] as Buffer | null)?.toString('hex');
      if (value !== undefined) seen.set(value, (seen.get(value) ?? 0) + 1);
    }
  expect([...seen.values()].filter((count) => count > 1)).toEqual([]);
});

test('rows with pending deferred writes are measured, and are protected after the next deferred writes', async () => {
  const later = await simulateUse(harness.server, { people: 60, conversations: pendingCount, applyEvery: 1_000 }, () =>
    Promise.resolve(),
  );
  life = { ...later, people: [...life.people, ...later.people] };
  const before = findings(await readFolder(later.conversations), measure);
  process.stdout.write(`before the deferred writes: ${JSON.stringify(best(before), null, 2)}\n`);
  await applyDeferredWrites(harness.server);
  expect(tooGood(findings(await readFolder(later.conversations), measure))).toEqual([]);
}, 120_000);
