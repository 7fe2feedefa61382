import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createReplayGuard } from '#auth/replay-guard.ts';
import type { ReplayGuard, ReplayResult } from '#auth/replay-guard.ts';
import type { Sql } from '#storage/connection/database.ts';
import { openDatabase } from '#storage/connection/database.ts';
import { systemClock } from '#platform/clock.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { runJob } from '../support/processes/run-job.ts';

const issuer = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 4 });
});
afterAll(() => database.close());
beforeEach(async () => {
  await forgetAll();
  await database.sql`insert into replay_birth (born_at) values (now() - interval '1 hour')`;
});

/** Empties the unlogged tables, as a crash of Postgres does. */
async function forgetAll(): Promise<void> {
  await database.sql`truncate replay_entries, replay_birth`;
}

function digest(tokenIssuer: string, jti: string): Buffer {
  return createHmac('sha256', 'test').update(`${tokenIssuer}\n${jti}`).digest();
}

function account(did: string): Buffer {
  return createHmac('sha256', 'accounts').update(did).digest();
}

function openGuard(sql: Sql = database.sql, ttlSeconds = 300): ReplayGuard {
  return createReplayGuard({ sql, clock: systemClock, digest, account, ttlSeconds });
}

const nowSeconds = (): number => Math.floor(Date.now() / 1_000);

function use(
  guard: ReplayGuard,
  jti: string,
  issuedAtSeconds: number | undefined = nowSeconds(),
): Promise<ReplayResult> {
  return guard.firstUse(issuer, jti, { issuedAtSeconds, expiresAtSeconds: nowSeconds() + 60 });
}

function countOf(results: readonly ReplayResult[], wanted: ReplayResult): number {
  return results.filter((results) => results === wanted).length;
}

/** Must be called outside a transaction, in which the statistics do not change. */
async function waitingServers(): Promise<number> {
  const rows = await database.sql`
    select 1 from pg_stat_activity where application_name = 'opposite' and wait_event_type = 'Lock'`;
  return rows.length;
}

/** Returns a proxy of `sql` that counts its statements. */
function counting(sql: Sql): { sql: Sql; statements(): number } {
  let statements = 0;
  const counted = new Proxy(sql, {
    apply(target, receiver, args) {
      statements += 1;
      return Reflect.apply(target, receiver, args) as unknown;
    },
  });
  return { sql: counted, statements: () => statements };
}

describe('a token is accepted once', () => {
  test('of 100 concurrent uses on two servers one is accepted', async () => {
    const other = openDatabase({ url: database.url, poolSize: 2, applicationName: 'second-server' });
    try {
      const guards = [openGuard(), openGuard(other.sql)];
      for (let round = 0; round < 5; round++) {
        const uses = Array.from({ length: 50 }, () => guards.map((guard) => use(guard, `jti-${round}`))).flat();
        const results = await Promise.all(uses);
        expect([countOf(results, 'first'), countOf(results, 'replayed')]).toEqual([1, 99]);
      }
    } finally {
      await other.close();
    }
  });

  test('two servers that claim the same tokens in opposite orders do not deadlock', async () => {
    const servers = [1, 2].map(() => openDatabase({ url: database.url, poolSize: 1, applicationName: 'opposite' }));
    const jtis = ['a', 'b', 'c', 'middle', 'd', 'e', 'f'].map((name) => `shared-${name}`);
    try {
      // While the middle entry is locked, two servers with opposite orders would each hold a lock that the other needs.
      const uses = await database.sql.begin(async (transaction) => {
        await transaction`insert into replay_entries values (${digest(issuer, 'shared-middle')}, now() + interval '1 hour')`;
        const started = servers.flatMap(({ sql }, server) => {
          const guard = openGuard(sql);
          // The first request has its own statement; the others share the next one.
          const order = server === 0 ? jtis : jtis.toReversed();
          return [`alone-${server}`, ...order].map((jti) => use(guard, jti));
        });
        await expect.poll(() => waitingServers(), { timeout: 5_000 }).toBe(2);
        return { all: Promise.all(started) };
      });
      const results = await uses.all;
      expect([countOf(results, 'first'), countOf(results, 'replayed')]).toEqual([2 + 6, 2 + 6]);
    } finally {
      await Promise.all(servers.map((server) => server.close()));
    }
  });

  test('another issuer may use the same jti', async () => {
    const guard = openGuard();
    const times = { issuedAtSeconds: nowSeconds(), expiresAtSeconds: nowSeconds() + 60 };
    expect(await guard.firstUse(issuer, 'same-jti', times)).toBe('first');
    expect(await guard.firstUse('did:plc:bbbbbbbbbbbbbbbbbbbbbbbb', 'same-jti', times)).toBe('first');
    expect(await guard.firstUse(issuer, 'same-jti', times)).toBe('replayed');
  });

  test('and is refused while the database fails; the record is unchanged afterwards', async () => {
    const broken = openDatabase({ url: database.url, poolSize: 1, applicationName: 'broken' });
    const guard = openGuard(broken.sql);
    expect(await use(guard, 'before-break')).toBe('first');
    await database.sql`alter table replay_entries rename to replay_entries_away`;
    try {
      await expect(use(guard, 'while-broken')).rejects.toMatchObject({ code: '42P01' });
    } finally {
      await database.sql`alter table replay_entries_away rename to replay_entries`;
    }
    expect(await use(guard, 'before-break')).toBe('replayed');
    await broken.close();
  });
});

test('requests that arrive together share a statement', async () => {
  const counted = counting(database.sql);
  const guard = openGuard(counted.sql);
  const results = await Promise.all(Array.from({ length: 500 }, (_, index) => use(guard, `batched-${index}`)));
  expect(countOf(results, 'first')).toBe(500);
  expect(counted.statements()).toBe(2);
});

describe('after the record was lost', () => {
  test('earlier tokens are refused and later ones accepted', async () => {
    const guard = openGuard();
    expect(await use(guard, 'old-token')).toBe('first');
    await forgetAll();
    expect(await use(guard, 'old-token'), 'its entry is lost, and it must be refused').toBe('just-before-record');
    expect(await use(guard, 'older-token', nowSeconds() - 29)).toBe('just-before-record');
    expect(await use(guard, 'oldest-token', nowSeconds() - 31)).toBe('before-record');
    expect(await use(guard, 'late-token', nowSeconds() + 2)).toBe('first');
    expect(await use(guard, 'late-token', nowSeconds() + 2)).toBe('replayed');
  });

  test('a token without iat counts as issued at the longest lifetime before exp', async () => {
    await forgetAll();
    const guard = openGuard();
    const useWithoutIat = (jti: string, expiresAtSeconds: number): Promise<ReplayResult> =>
      guard.firstUse(issuer, jti, { issuedAtSeconds: undefined, expiresAtSeconds });
    expect(await useWithoutIat('no-iat', nowSeconds() + 60)).toBe('before-record');
    expect(await useWithoutIat('no-iat-2', nowSeconds() + 302)).toBe('first');
  });

  test('a starting server waits until the end of the second in which it created the record', async () => {
    await forgetAll();
    const clock = createManualClock(Date.now());
    const guard = createReplayGuard({ sql: database.sql, clock, digest, account, ttlSeconds: 300 });
    const born = guard.ensureRecord();
    await expect.poll(() => clock.sleeping()).toHaveLength(1);
    const [birth] = await database.sql<{ born_at: Date }[]>`select born_at from replay_birth`;
    const bornAtMs = birth?.born_at.getTime() ?? 0;
    expect((bornAtMs + (clock.sleeping()[0] ?? 0)) % 1_000).toBe(0);
    clock.advance(1_000);
    await born;
    await guard.ensureRecord();
    expect(clock.sleeping()).toEqual([]);
    expect(await use(guard, 'minted-after-start', Math.ceil((bornAtMs + 1) / 1_000))).toBe('first');
  });
});

describe('an entry is stored', () => {
  async function keptForSeconds(ttlSeconds: number, expiresInSeconds: number): Promise<number> {
    const guard = openGuard(database.sql, ttlSeconds);
    const expiresAtSeconds = nowSeconds() + expiresInSeconds;
    await guard.firstUse(issuer, 'kept', { issuedAtSeconds: nowSeconds(), expiresAtSeconds });
    const rows = await database.sql<{ seconds: number }[]>`
      select extract(epoch from expires_at - now())::float8 as seconds from replay_entries`;
    return rows[0]?.seconds ?? 0;
  }

  test('at least until exp and twice the leeway', async () => {
    const seconds = await keptForSeconds(300, 290);
    expect(seconds).toBeGreaterThan(347);
    expect(seconds).toBeLessThanOrEqual(350);
  });

  test('at least for JTI_TTL_SECONDS', async () => {
    const seconds = await keptForSeconds(900, 60);
    expect(seconds).toBeGreaterThan(897);
    expect(seconds).toBeLessThanOrEqual(901);
  });

  test('until it expires, and is then deleted', async () => {
    const guard = openGuard();
    await Promise.all(Array.from({ length: 20 }, (_, index) => use(guard, `cleaned-${index}`)));
    expect(await runJob(database, 'clean-replay-entries')).toBe(0);
    await database.sql`
      update replay_entries set expires_at = now() - interval '1 second'
      where digest in (select digest from replay_entries limit 15)`;
    expect(await runJob(database, 'clean-replay-entries')).toBe(15);
    expect(await database.sql`select digest from replay_entries`).toHaveLength(5);
  });

  test('as a digest that does not contain the issuer', async () => {
    await use(openGuard(), 'secret-jti');
    const [row] = await database.sql<{ line: string }[]>`select replay_entries::text as line from replay_entries`;
    for (const part of [issuer, issuer.slice(8), 'secret-jti']) {
      expect(row?.line).not.toContain(part);
      expect(row?.line).not.toContain(Buffer.from(part).toString('hex'));
    }
  });
});
