import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newSecret, newUuid } from '#platform/ids.ts';
import { limits } from '#platform/limits.ts';
import { createCraftedConversation, sendCrafted } from '../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../support/mls/crafted-conversation.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import { createLeakScanner, dumpTables } from '../support/privacy/leak-scanner.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { ResponseOf, RequestOf, XrpcClient } from '../support/clients/xrpc-client.ts';
import { runJob } from '../support/processes/run-job.ts';

let bed: TestBed;
/** Every conversation here has an admin, a second admin, a moderator and two members. */
let alice: XrpcClient;
let ada: XrpcClient;
let mona: XrpcClient;
let bob: XrpcClient;
let carol: XrpcClient;
let nonMember: XrpcClient;

beforeAll(async () => {
  bed = await startTestBed();
  [alice, ada, mona, bob, carol, nonMember] = [
    bed.client(),
    bed.client(),
    bed.client(),
    bed.client(),
    bed.client(),
    bed.client(),
  ];
});
afterAll(() => bed.stop());

async function newConversation(): Promise<CraftedConversation> {
  const conversation = await createCraftedConversation(alice, [ada, mona, bob, carol]);
  const { convoId } = conversation;
  await alice.call('promoteAdmin', { convoId, targetDid: ada.did });
  await alice.call('promoteModerator', { convoId, targetDid: mona.did });
  return conversation;
}

const unknownConvoId = (): string => newSecret(16).toString('hex');

function reportOf(convoId: string, about: XrpcClient, more: Partial<RequestOf<'reportMember'>> = {}) {
  return { convoId, reportedDid: about.did, category: 'spam', encryptedContent: newSecret(300), ...more };
}

async function rowCount(table: 'reports' | 'warnings' | 'events'): Promise<number> {
  const [row] = await bed.database.sql<{ rows: number }[]>`
    SELECT count(*)::int AS rows FROM ${bed.database.sql(table)}`;
  return row?.rows ?? 0;
}

describe('warnings', () => {
  const warningOf = (convoId: string, member: XrpcClient, reason = 'Be kind.') => ({
    convoId,
    memberDid: member.did,
    reason,
  });

  test('reach only the warned member, on all of their streams, live and by replay', async () => {
    const conversation = await newConversation();
    const { convoId } = conversation;
    const streams = await Promise.all([
      openEventStream(bob),
      openEventStream(bob, { convoId }),
      openEventStream(carol),
    ]);
    const [first, second, other] = streams;
    await sendCrafted(alice, conversation);
    const { cursor } = await first.next('messageEvent');
    const { warningId, deliveredAt } = await mona.call('warnMember', warningOf(convoId, bob));
    expect(Date.parse(deliveredAt) % 60_000).toBe(0);
    const expected = { convoId, warningId, reason: 'Be kind.', info: 'You were warned: Be kind.' };
    expect(await first.next('infoEvent')).toMatchObject(expected);
    expect(await second.next('infoEvent')).toMatchObject(expected);
    const replayed = await openEventStream(bob, { cursor });
    expect(await replayed.next('infoEvent')).toMatchObject(expected);
    const ofOther = await openEventStream(carol, { cursor });
    await sendCrafted(alice, conversation);
    for (const stream of [other, ofOther]) {
      await stream.next('messageEvent', ({ message }) => message.seq === 2);
      expect(stream.events.filter(({ $type }) => $type.endsWith('#infoEvent'))).toEqual([]);
    }
    await Promise.all([...streams, replayed, ofOther].map((stream) => stream.close()));
  });

  test('an expired warning is not delivered and is deleted, and a warning with a past expiry is refused', async () => {
    const conversation = await newConversation();
    const { convoId } = conversation;
    const stream = await openEventStream(bob, { convoId });
    await sendCrafted(alice, conversation);
    const { cursor } = await stream.next('messageEvent');
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    await alice.call('warnMember', { ...warningOf(convoId, bob), expiresAt });
    await stream.next('infoEvent');
    await stream.close();
    const { sql } = bed.database;
    await sql`UPDATE warnings SET expires_at = now() - interval '1 second' WHERE group_id = ${conversation.groupId}`;
    const late = await openEventStream(bob, { cursor, convoId });
    await sendCrafted(alice, conversation);
    await late.next('messageEvent');
    expect(late.events).toHaveLength(1);
    await late.close();
    expect(await runJob(bed.database, 'clean-reports')).toBe(1);
    const past = { ...warningOf(convoId, bob), expiresAt: new Date(Date.now() - 1_000).toISOString() };
    expect((await alice.refusal('warnMember', past)).error).toBe('InvalidRequest');
  });

  test('only admins and moderators can warn, and only members who are not admins; a refusal writes nothing', async () => {
    const { convoId } = await newConversation();
    const before = [await rowCount('warnings'), await rowCount('events')];
    const refusal = async (client: XrpcClient, to: XrpcClient, id = convoId): Promise<unknown[]> => {
      const { status, error } = await client.refusal('warnMember', warningOf(id, to));
      return [status, error];
    };
    expect(await refusal(bob, carol)).toEqual([403, 'NotAdmin']);
    expect(await refusal(mona, ada)).toEqual([409, 'CannotWarnAdmin']);
    expect(await refusal(alice, nonMember)).toEqual([404, 'TargetNotMember']);
    expect(await refusal(nonMember, bob)).toEqual([404, 'ConvoNotFound']);
    expect(await refusal(alice, bob, unknownConvoId())).toEqual([404, 'ConvoNotFound']);
    await carol.call('leaveConvo', { convoId });
    expect(await refusal(carol, bob)).toEqual([403, 'NotMember']);
    expect(await refusal(alice, carol)).toEqual([404, 'TargetNotMember']);
    const tooLong = warningOf(convoId, bob, 'x'.repeat(501));
    expect((await alice.refusal('warnMember', tooLong)).error).toBe('InvalidRequest');
    expect([await rowCount('warnings'), (await rowCount('events')) - 1]).toEqual(before);
  });

  test('a repeated call with its idempotency key warns once', async () => {
    const { convoId } = await newConversation();
    const warning = { ...warningOf(convoId, bob), idempotencyKey: newUuid() };
    const first = await alice.call('warnMember', warning);
    const before = await rowCount('warnings');
    expect(await alice.call('warnMember', warning)).toEqual(first);
    expect(await rowCount('warnings')).toBe(before);
    expect((await alice.refusal('warnMember', { ...warning, reason: 'Another.' })).error).toBe('IdempotencyKeyReused');
  });
});

describe('reports', () => {
  const listFor = async (client: XrpcClient, convoId: string, more: Partial<RequestOf<'getReports'>> = {}) =>
    (await client.call('getReports', { convoId, ...more })).reports;

  test('are listed for admins and moderators, newest first, unchanged', async () => {
    const { convoId } = await newConversation();
    const encryptedContent = newSecret(51_200);
    const messageIds = Array.from({ length: 20 }, () => newUuid());
    const first = await bob.call('reportMember', reportOf(convoId, carol, { encryptedContent, messageIds }));
    const second = await carol.call('reportMember', reportOf(convoId, bob, { category: 'something else' }));
    expect(Date.parse(first.submittedAt) % 60_000).toBe(0);
    for (const reader of [alice, ada, mona]) {
      const reports = await listFor(reader, convoId);
      expect(reports.map(({ id }) => id)).toEqual([second.reportId, first.reportId]);
      expect(reports[1]).toEqual({
        id: first.reportId,
        reporterDid: bob.did,
        reportedDid: carol.did,
        encryptedContent: new Uint8Array(encryptedContent),
        createdAt: first.submittedAt,
        status: 'pending',
        category: 'spam',
        messageIds,
      });
    }
    expect((await listFor(alice, convoId, { limit: 1 })).map(({ id }) => id)).toEqual([second.reportId]);
    expect(await listFor(alice, convoId, { status: 'resolved' })).toEqual([]);
  });

  test('a reported member learns nothing from the list, the statistics or resolveReport', async () => {
    const { convoId } = await newConversation();
    const about = async (reported: XrpcClient) =>
      (await bob.call('reportMember', reportOf(convoId, reported))).reportId;
    const [aboutAda, aboutMona] = [await about(ada), await about(mona)];
    expect((await listFor(ada, convoId)).map(({ id }) => id)).toEqual([aboutMona]);
    expect((await listFor(mona, convoId)).map(({ id }) => id)).toEqual([aboutAda]);
    expect(await listFor(alice, convoId)).toHaveLength(2);
    expect((await ada.call('getAdminStats', { convoId })).stats).toMatchObject({ totalReports: 1, pendingReports: 1 });
    expect((await alice.call('getAdminStats', { convoId })).stats).toMatchObject({ totalReports: 2 });
    const ofAda = await ada.refusal('resolveReport', { reportId: aboutAda, action: 'dismissed' });
    const ofNothing = await ada.refusal('resolveReport', { reportId: newUuid(), action: 'dismissed' });
    expect([ofAda.status, ofAda.body]).toEqual([ofNothing.status, ofNothing.body]);
    expect(ofAda.error).toBe('ReportNotFound');
  });

  test('are listed page by page: reports that arrive or are decided meanwhile hide and repeat none', async () => {
    const { convoId } = await newConversation();
    const reporters = [bob, carol, alice];
    const report = async (nth: number, reported: XrpcClient): Promise<string> => {
      const reporter = reporters[nth % 3] ?? bob;
      const about = reporter === reported ? mona : reported;
      return (await reporter.call('reportMember', reportOf(convoId, about))).reportId;
    };
    const ids: string[] = [];
    for (let nth = 0; nth < 25; nth++) ids.push(await report(nth, nth % 2 === 0 ? carol : bob));
    const page = (cursor: string | undefined, more = {}) =>
      alice.call('getReports', { convoId, limit: 10, cursor, ...more });
    const first = await page(undefined);
    const late = await report(0, carol);
    const decided = ids[12] ?? '';
    await ada.call('resolveReport', { reportId: decided, action: 'no_action' });
    const second = await page(first.cursor);
    const third = await page(second.cursor);
    const listed = [first, second, third].flatMap(({ reports }) => reports.map(({ id }) => id));
    expect(listed).toEqual(ids.toReversed());
    expect([first, second, third].map(({ reports }) => reports.length)).toEqual([10, 10, 5]);
    expect(third.cursor).toBeUndefined();
    expect((await page(undefined)).reports[0]?.id).toBe(late);
    // A decided report leaves the pages of pending ones, and the others stay where they are.
    const pending = { status: 'pending' };
    const half = await page(undefined, { ...pending, limit: 13 });
    await ada.call('resolveReport', { reportId: half.reports[2]?.id ?? '', action: 'no_action' });
    const rest = await page(half.cursor, { ...pending, limit: 100 });
    const both = [...half.reports, ...rest.reports].map(({ id }) => id);
    expect(both).toEqual([late, ...ids.toReversed()].filter((id) => id !== decided));
    expect(rest.cursor).toBeUndefined();
  });

  test('a page counts visible reports only, so that no cursor shows a hidden one; a cursor fits its list only', async () => {
    const { convoId } = await newConversation();
    for (const about of [carol, ada, carol, ada]) await bob.call('reportMember', reportOf(convoId, about));
    const ofAda = await ada.call('getReports', { convoId, limit: 2 });
    expect([ofAda.reports.length, ofAda.cursor]).toEqual([2, undefined]);
    const { cursor } = await alice.call('getReports', { convoId, limit: 2 });
    expect(cursor).toBeDefined();
    const other = await newConversation();
    for (const [client, query] of [
      [alice, { convoId: other.convoId, cursor }],
      [alice, { convoId, status: 'pending', cursor }],
      [ada, { convoId, cursor }],
      [alice, { convoId, cursor: cursor?.slice(4) }],
      [alice, { convoId, cursor: 'not a cursor' }],
    ] as const) {
      const { status, error } = await client.refusal('getReports', query);
      expect([status, error]).toEqual([400, 'InvalidCursor']);
    }
    // The membership is checked first.
    expect((await nonMember.refusal('getReports', { convoId, cursor: 'x' })).error).toBe('ConvoNotFound');
    expect((await bob.refusal('getReports', { convoId, cursor: 'x' })).error).toBe('NotAdmin');
  });

  test('are decided once, by an admin, and keep the decision', async () => {
    const { convoId } = await newConversation();
    const report = async () => (await bob.call('reportMember', reportOf(convoId, carol))).reportId;
    const [removed, dismissed, undecided] = [await report(), await report(), await report()];
    const decide = { reportId: removed, action: 'removed_member', notes: 'The second time.' };
    for (const client of [bob, mona]) {
      expect((await client.refusal('resolveReport', decide)).error).toBe('NotAdmin');
    }
    await carol.call('leaveConvo', { convoId });
    for (const client of [nonMember, carol]) {
      const refusal = await client.refusal('resolveReport', decide);
      const unknown = await client.refusal('resolveReport', { ...decide, reportId: newUuid() });
      expect([refusal.status, refusal.body]).toEqual([unknown.status, unknown.body]);
      expect(refusal.error).toBe('ReportNotFound');
    }
    expect((await alice.refusal('resolveReport', { ...decide, reportId: 'no uuid' })).error).toBe('ReportNotFound');
    expect(await ada.call('resolveReport', decide)).toEqual({ ok: true });
    expect((await alice.refusal('resolveReport', decide)).error).toBe('AlreadyResolved');
    await alice.call('resolveReport', { reportId: dismissed, action: 'dismissed' });
    const [resolved] = await listFor(alice, convoId, { status: 'resolved' });
    expect(resolved).toMatchObject({ id: removed, resolvedBy: ada.did, action: decide.action, notes: decide.notes });
    expect(Date.parse(resolved?.resolvedAt ?? '') % 60_000).toBe(0);
    expect((await listFor(alice, convoId, { status: 'dismissed' })).map(({ id }) => id)).toEqual([dismissed]);
    expect((await listFor(alice, convoId, { status: 'pending' })).map(({ id }) => id)).toEqual([undecided]);
  });

  test('of two admins who decide concurrently one succeeds', async () => {
    const { convoId } = await newConversation();
    for (let round = 0; round < 5; round++) {
      const { reportId } = await bob.call('reportMember', reportOf(convoId, carol));
      const responses = await Promise.allSettled(
        [alice, ada].map((client) => client.call('resolveReport', { reportId, action: 'no_action' })),
      );
      expect(responses.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    }
  });

  test('only members can report, and only other members; a refusal writes nothing', async () => {
    const { convoId } = await newConversation();
    const before = await rowCount('reports');
    const refusal = async (client: XrpcClient, request: RequestOf<'reportMember'>): Promise<unknown[]> => {
      const { status, error } = await client.refusal('reportMember', request);
      return [status, error];
    };
    expect(await refusal(bob, reportOf(convoId, bob))).toEqual([400, 'CannotReportSelf']);
    expect(await refusal(bob, reportOf(convoId, nonMember))).toEqual([404, 'TargetNotMember']);
    expect(await refusal(nonMember, reportOf(convoId, bob))).toEqual([404, 'ConvoNotFound']);
    expect(await refusal(nonMember, reportOf(convoId, nonMember))).toEqual([404, 'ConvoNotFound']);
    await carol.call('leaveConvo', { convoId });
    expect(await refusal(carol, reportOf(convoId, bob))).toEqual([403, 'NotMember']);
    const tooLarge = reportOf(convoId, ada, { encryptedContent: newSecret(51_201) });
    expect(await refusal(bob, tooLarge)).toEqual([400, 'InvalidRequest']);
    const tooMany = reportOf(convoId, ada, { messageIds: Array.from({ length: 21 }, () => newUuid()) });
    expect(await refusal(bob, tooMany)).toEqual([400, 'InvalidRequest']);
    expect(await rowCount('reports')).toBe(before);
  });

  test('are refused to all other callers', async () => {
    const { convoId } = await newConversation();
    const refusal = async (client: XrpcClient): Promise<unknown[]> => {
      const { status, error } = await client.refusal('getReports', { convoId });
      return [status, error];
    };
    expect(await refusal(bob)).toEqual([403, 'NotAdmin']);
    expect(await refusal(nonMember)).toEqual([404, 'ConvoNotFound']);
    await carol.call('leaveConvo', { convoId });
    expect(await refusal(carol)).toEqual([403, 'NotMember']);
  });

  test('of one member are limited; a decision allows another', async () => {
    const { convoId } = await newConversation();
    const report = () => bob.call('reportMember', reportOf(convoId, carol));
    const made: ResponseOf<'reportMember'>[] = [];
    for (let count = 0; count < limits.openReportsPerReporterMax; count++) made.push(await report());
    const refusal = await bob.refusal('reportMember', reportOf(convoId, carol));
    expect([refusal.status, refusal.error]).toEqual([409, 'TooManyReports']);
    await carol.call('reportMember', reportOf(convoId, bob));
    await alice.call('resolveReport', { reportId: made[0]?.reportId ?? '', action: 'dismissed' });
    expect((await report()).reportId).toEqual(expect.any(String));
  });

  test('a repeated call with its idempotency key reports once', async () => {
    const { convoId } = await newConversation();
    const request = reportOf(convoId, carol, { idempotencyKey: newUuid() });
    const responses = await Promise.all([1, 2, 3].map(() => bob.call('reportMember', request)));
    expect(new Set(responses.map(({ reportId }) => reportId)).size).toBe(1);
    expect(await listFor(alice, convoId)).toHaveLength(1);
    const other = { ...request, category: 'violence' };
    expect((await bob.refusal('reportMember', other)).error).toBe('IdempotencyKeyReused');
  });
});

describe('statistics', () => {
  test('count reports and removals of one conversation, for its admins', async () => {
    const { convoId, groupId } = await newConversation();
    const report = async (category: string) =>
      (await bob.call('reportMember', reportOf(convoId, carol, { category }))).reportId;
    const first = await report('hate_speech');
    await report('hate_speech');
    await report('made up');
    await alice.call('resolveReport', { reportId: first, action: 'no_action' });
    await bed.database
      .sql`UPDATE reports SET submitted_at = submitted_at - interval '3 hours' WHERE report_id = ${first}`;
    await alice.call('removeMember', { convoId, targetDid: carol.did, idempotencyKey: newUuid() });
    await bob.call('leaveConvo', { convoId });
    const { stats, generatedAt, ...rest } = await alice.call('getAdminStats', { convoId });
    expect([Date.parse(generatedAt) % 60_000, rest.convoId]).toEqual([0, convoId]);
    expect(stats).toEqual({
      totalReports: 3,
      pendingReports: 2,
      resolvedReports: 1,
      totalRemovals: 1,
      blockConflictsResolved: 0,
      reportsByCategory: {
        harassment: 0,
        spam: 0,
        hateSpeech: 2,
        violence: 0,
        sexualContent: 0,
        impersonation: 0,
        privacyViolation: 0,
        otherCategory: 1,
      },
      averageResolutionTimeHours: 3,
    });
    const since = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString();
    const recent = await alice.call('getAdminStats', { convoId, since: since(-1) });
    expect(recent.stats).toMatchObject({ totalReports: 2, pendingReports: 2, totalRemovals: 1 });
    const later = await alice.call('getAdminStats', { convoId, since: since(48) });
    expect(later.stats).toMatchObject({ totalReports: 0, totalRemovals: 0 });
    const hostile = await alice.refusal('getAdminStats', {
      convoId,
      since: "2024-01-01T00:00:00Z'; DROP TABLE reports; --",
    });
    expect(hostile.error).toBe('InvalidRequest');
    expect(groupId).toHaveLength(16);
  });

  test('are refused to all other callers, and for the whole service', async () => {
    const { convoId } = await newConversation();
    const refusal = async (client: XrpcClient, request: RequestOf<'getAdminStats'>): Promise<unknown[]> => {
      const { status, error } = await client.refusal('getAdminStats', request);
      return [status, error];
    };
    expect(await refusal(alice, {})).toEqual([403, 'NotAuthorized']);
    expect(await refusal(mona, { convoId })).toEqual([403, 'NotAuthorized']);
    expect(await refusal(bob, { convoId })).toEqual([403, 'NotAuthorized']);
    expect(await refusal(nonMember, { convoId })).toEqual([404, 'ConvoNotFound']);
    await carol.call('leaveConvo', { convoId });
    expect(await refusal(carol, { convoId })).toEqual([403, 'NotMember']);
  });
});

test('stored moderation data contains no DID or text in clear, and expires like the messages of its time', async () => {
  const { convoId, groupId } = await newConversation();
  const texts = ['This is what bob has done to everybody', 'A remark on it for other admins'];
  const [reason = '', notes = ''] = texts;
  await alice.call('warnMember', { convoId, memberDid: bob.did, reason });
  const content = Buffer.from('not encrypted by this client at all');
  const { reportId } = await bob.call('reportMember', reportOf(convoId, carol, { encryptedContent: content }));
  await alice.call('resolveReport', { reportId, action: 'no_action', notes });
  await alice.call('removeMember', { convoId, targetDid: carol.did, idempotencyKey: newUuid() });
  const scanner = createLeakScanner(
    [alice, ada, mona, bob, carol].map(({ did }) => did).concat(texts, content.toString()),
  );
  const dump = await dumpTables(bed.database.sql);
  expect(dump.get('public.reports (binary)')?.length).toBeGreaterThan(500);
  expect([...dump].flatMap(([name, bytes]) => scanner.scan(name, bytes))).toEqual([]);

  const { sql } = bed.database;
  await sql`UPDATE reports SET submitted_at = now() - interval '31 days' WHERE group_id = ${groupId}`;
  await sql`UPDATE removal_counts SET day = day - 31 WHERE group_id = ${groupId}`;
  expect(await runJob(bed.database, 'clean-reports')).toBe(2);
  expect(await runJob(bed.database, 'clean-reports')).toBe(0);
  expect((await alice.call('getAdminStats', { convoId })).stats).toMatchObject({ totalReports: 0, totalRemovals: 0 });
});
