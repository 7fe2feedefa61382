import { afterAll, beforeAll, expect, test } from 'vitest';
import { leaveConversation } from '#domain/membership/leave-conversation.ts';
import { readConfig } from '#platform/config/config.ts';
import { limits } from '#platform/limits.ts';
import { createQuota } from '#quota/table/charge.ts';
import { createByteBudget } from '#xrpc/byte-budget.ts';
import type { ByteBudget } from '#xrpc/byte-budget.ts';
import { LimitReached } from '#xrpc/response/rate-limit.ts';
import { randomPeople, refusalOf, startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness, TestConversation } from '../support/domain-harness.ts';
import { createManualClock } from '../support/manual-clock.ts';
import type { ManualClock } from '../support/manual-clock.ts';

let harness: DomainHarness;
beforeAll(async () => {
  harness = await startDomainHarness({ poolSize: 2 });
});
afterAll(() => harness.close());

const mebiByte = 1_048_576;
const largestBytes = limits.messageSizeBytesMax;

interface Fixture {
  readonly budget: ByteBudget;
  readonly clock: ManualClock;
  readonly conversation: TestConversation;
  readonly members: readonly string[];
  /** Writes 10 MiB as `did`; with `fails` the call itself throws. */
  write(did: string, options?: { sizeBytes?: number; by?: 'member' | 'joiner'; fails?: boolean }): Promise<unknown>;
}

/** Seven members, with a budget of 50 MiB a minute for all and of 20 MiB for each. */
async function newFixture(): Promise<Fixture> {
  const clock = createManualClock(1_800_000_000_000);
  const quota = createQuota({ config: readConfig({ NODE_ENV: 'test' }), clock });
  const { db, privacy } = harness.server;
  const budget = createByteBudget({ quota, db, privacy });
  const members = randomPeople(7);
  const conversation = await harness.createConversation(members);
  return {
    budget,
    clock,
    conversation,
    members,
    write: (did, { sizeBytes = largestBytes, by = 'member', fails = false } = {}) =>
      budget.within({ did }, { conversationId: conversation.id, sizeBytes, by }, () =>
        fails ? Promise.reject(new Error('the call refuses')) : Promise.resolve('written'),
      ),
  };
}

async function fill(fixture: Fixture): Promise<void> {
  for (const did of fixture.members.slice(0, 5)) expect(await fixture.write(did)).toBe('written');
}

test('a conversation without budget tells its members the limit and the time, and accepts writes after that time', async () => {
  const fixture = await newFixture();
  await fill(fixture);
  const [, , , , , sixth = '', seventh = ''] = fixture.members;
  const refusal = await fixture.write(sixth).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(LimitReached);
  expect(refusal).toMatchObject({
    code: 'RateLimitExceeded',
    detail: { limit: 'conversationBytes' },
    message: expect.stringContaining('51200 KiB in 60 seconds') as string,
  });
  const waitSeconds = (refusal as LimitReached).decision.retryAfterSeconds;
  fixture.clock.advance(waitSeconds * 1_000 - 2_000);
  expect((await refusalOf(fixture.write(seventh))).code).toBe('RateLimitExceeded');
  fixture.clock.advance(2_000);
  expect(await fixture.write(seventh)).toBe('written');
});

test('a non-member gets the same error whether or not the conversation has budget, and so does a removed member', async () => {
  const fixture = await newFixture();
  const [nonMember = ''] = randomPeople(1);
  const [, , , , , sixth = ''] = fixture.members;
  await leaveConversation(
    harness.server,
    { did: sixth },
    { conversationId: fixture.conversation.id, targetDid: undefined, commit: undefined },
  );
  await fill(fixture);
  expect((await refusalOf(fixture.write(nonMember))).code).toBe('ConvoNotFound');
  expect((await refusalOf(fixture.write(sixth))).code).toBe('NotMember');
});

test('a non-member who may join by the call is checked by the call, with and without budget', async () => {
  const fixture = await newFixture();
  const [nonMember = ''] = randomPeople(1);
  await fill(fixture);
  expect(await fixture.write(nonMember, { by: 'joiner' })).toBe('written');
  const [, , , , , sixth = ''] = fixture.members;
  expect((await refusalOf(fixture.write(sixth, { by: 'joiner' }))).code).toBe('RateLimitExceeded');
});

// The conversation is charged after a write that succeeds.
test('non-members cannot use up the budget of a conversation', async () => {
  const fixture = await newFixture();
  for (const nonMember of randomPeople(50)) {
    await expect(fixture.write(nonMember, { fails: true })).rejects.toThrow('the call refuses');
  }
  await fill(fixture);
});

test('an account is charged for all bytes that it sends, refused or not, to every conversation', async () => {
  const fixture = await newFixture();
  const [first = '', second = ''] = fixture.members;
  await expect(fixture.write(first, { fails: true })).rejects.toThrow('the call refuses');
  await fixture.budget.takeOwn({ did: first }, 9 * mebiByte);
  const refusal = await fixture.write(first, { sizeBytes: mebiByte + 1 }).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ code: 'RateLimitExceeded', detail: { limit: 'callerBytes' } });
  expect(await fixture.write(first, { sizeBytes: mebiByte })).toBe('written');
  expect(await fixture.write(second)).toBe('written');
});

test('the smallest possible settings let the largest request pass', async () => {
  const largestKib = (limits.requestBodySizeBytesMax * 3) / 4 / 1_024;
  for (const name of ['RATE_LIMIT_DID_KIB_PER_MINUTE', 'RATE_LIMIT_CONVO_KIB_PER_MINUTE'] as const) {
    expect(() => readConfig({ [name]: String(largestKib - 1) })).toThrow(name);
    expect(readConfig({ [name]: String(largestKib) })[name]).toBe(largestKib);
  }
});
