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

interface Scene {
  readonly budget: ByteBudget;
  readonly clock: ManualClock;
  readonly conversation: TestConversation;
  readonly members: readonly string[];
  /** Writes 10 MiB, as this person; `stranger` says that the call itself refuses. */
  write(did: string, options?: { sizeBytes?: number; by?: 'member' | 'joiner'; fails?: boolean }): Promise<unknown>;
}

/** Seven members, a budget of 50 MiB a minute for all and of 20 MiB for each. */
async function newScene(): Promise<Scene> {
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

async function fill(scene: Scene): Promise<void> {
  for (const did of scene.members.slice(0, 5)) expect(await scene.write(did)).toBe('written');
}

test('a full conversation tells its members which limit, and until when; then there is room again', async () => {
  const scene = await newScene();
  await fill(scene);
  const [, , , , , sixth = '', seventh = ''] = scene.members;
  const refusal = await scene.write(sixth).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(LimitReached);
  expect(refusal).toMatchObject({
    code: 'RateLimitExceeded',
    detail: { limit: 'conversationBytes' },
    message: expect.stringContaining('51200 KiB in 60 seconds') as string,
  });
  const waitSeconds = (refusal as LimitReached).decision.retryAfterSeconds;
  scene.clock.advance(waitSeconds * 1_000 - 2_000);
  expect((await refusalOf(scene.write(seventh))).code).toBe('RateLimitExceeded');
  scene.clock.advance(2_000);
  expect(await scene.write(seventh)).toBe('written');
});

test('a stranger learns nothing from a full conversation, and a former member nothing new', async () => {
  const scene = await newScene();
  const [stranger = ''] = randomPeople(1);
  const [, , , , , sixth = ''] = scene.members;
  await leaveConversation(
    harness.server,
    { did: sixth },
    { conversationId: scene.conversation.id, targetDid: undefined, commit: undefined },
  );
  await fill(scene);
  expect((await refusalOf(scene.write(stranger))).code).toBe('ConvoNotFound');
  expect((await refusalOf(scene.write(sixth))).code).toBe('NotMember');
});

test('whoever may join by the call is judged by the call, room or not', async () => {
  const scene = await newScene();
  const [stranger = ''] = randomPeople(1);
  await fill(scene);
  expect(await scene.write(stranger, { by: 'joiner' })).toBe('written');
  const [, , , , , sixth = ''] = scene.members;
  expect((await refusalOf(scene.write(sixth, { by: 'joiner' }))).code).toBe('RateLimitExceeded');
});

// The conversation is charged only once its write has come through.
test('strangers cannot use up the budget of a conversation', async () => {
  const scene = await newScene();
  for (const stranger of randomPeople(50)) {
    await expect(scene.write(stranger, { fails: true })).rejects.toThrow('the call refuses');
  }
  await fill(scene);
});

test('an account pays for what it sends, refused or not, whatever the conversation', async () => {
  const scene = await newScene();
  const [first = '', second = ''] = scene.members;
  await expect(scene.write(first, { fails: true })).rejects.toThrow('the call refuses');
  await scene.budget.takeOwn({ did: first }, 9 * mebiByte);
  const refusal = await scene.write(first, { sizeBytes: mebiByte + 1 }).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ code: 'RateLimitExceeded', detail: { limit: 'callerBytes' } });
  expect(await scene.write(first, { sizeBytes: mebiByte })).toBe('written');
  expect(await scene.write(second)).toBe('written');
});

test('the smallest limits that can be set let the largest request through', async () => {
  const largestKib = (limits.requestBodySizeBytesMax * 3) / 4 / 1_024;
  for (const name of ['RATE_LIMIT_DID_KIB_PER_MINUTE', 'RATE_LIMIT_CONVO_KIB_PER_MINUTE'] as const) {
    expect(() => readConfig({ [name]: String(largestKib - 1) })).toThrow(name);
    expect(readConfig({ [name]: String(largestKib) })[name]).toBe(largestKib);
  }
});
