import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import {
  createCraftedConversation,
  craftedSuite,
  craftMessage,
  sendCrafted,
} from '../support/mls/crafted-conversation.ts';
import { MlsDevice } from '../support/mls/mls-device.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { XrpcFailure } from '../support/clients/xrpc-client.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';

const largestKib = 10_752;
const eightMebiBytes = 8_388_608;

let bed: TestBed;
beforeAll(async () => {
  bed = await startTestBed({
    env: {
      RATE_LIMIT_TARGET_KEY_PACKAGES_PER_HOUR: '50',
      RATE_LIMIT_TARGET_KEY_PACKAGES_PER_CALLER_HOUR: '5',
      RATE_LIMIT_CONVO_KIB_PER_MINUTE: String(largestKib),
      RATE_LIMIT_DID_KIB_PER_MINUTE: '20480',
    },
  });
});
afterAll(() => bed.stop());

/**
 * A person with one device, one-time packages and a last-resort package. @returns the reference of the last-resort
 * package.
 */
async function newTarget(oneTime: number): Promise<{ client: XrpcClient; lastResort: string }> {
  const client = bed.client();
  const device = await MlsDevice.create(client.did, craftedSuite);
  const expires = new Date(Date.now() + 86_400_000).toISOString();
  const upload = (bytes: Uint8Array) => ({
    keyPackage: Buffer.from(bytes).toString('base64'),
    cipherSuite: craftedSuite,
    expires,
  });
  const last = await device.createKeyPackage({ lastResort: 'extension' });
  const keyPackages = [upload(last.bytes)];
  for (let made = 0; made < oneTime; made++) keyPackages.push(upload((await device.createKeyPackage()).bytes));
  await client.call('registerDevice', {
    deviceName: 'phone',
    signaturePublicKey: device.signaturePublicKey,
    keyPackages,
  });
  return { client, lastResort: last.ref };
}

/** Repeats the call when a busy machine sheds load. */
async function claim(caller: XrpcClient, target: XrpcClient): Promise<string | undefined> {
  for (;;) {
    try {
      const { keyPackages } = await caller.call('getKeyPackages', { dids: [target.did], cipherSuite: craftedSuite });
      return keyPackages[0]?.keyPackageHash;
    } catch (error) {
      if (!(error instanceof XrpcFailure && error.status === 503)) throw error;
      await systemClock.sleep(500);
    }
  }
}

test.each([
  [80, 50],
  [20, 19],
])(
  'of %i one-time packages, 100 callers get %i; the others get the last-resort package',
  async (packageCount, handedOut) => {
    const { client: target, lastResort } = await newTarget(packageCount);
    const callers = Array.from({ length: 100 }, () => bed.client());
    const refs = await Promise.all(callers.map((caller) => claim(caller, target)));
    const oneTime = refs.filter((ref) => ref !== lastResort);
    expect([oneTime.length, new Set(oneTime).size, refs.includes(undefined)]).toEqual([handedOut, handedOut, false]);
    const { available, needsReplenish } = await target.call('getKeyPackageStats', {});
    expect(available).toBe(packageCount - handedOut + 1);
    expect(needsReplenish, 'the owner sees few available packages').toBe(packageCount - handedOut < 5);
  },
);

test('one caller gets five in an hour; a repeated call within ten minutes returns the same package and is not counted', async () => {
  const { client: target, lastResort } = await newTarget(10);
  const caller = bed.client();
  const refs: (string | undefined)[] = [];
  for (let claims = 0; claims < 6; claims++) {
    const ref = await claim(caller, target);
    refs.push(ref);
    for (let retries = 0; retries < 3; retries++) expect(await claim(caller, target)).toBe(ref);
    await bed.database
      .sql`UPDATE key_packages SET claimed_at = claimed_at - interval '11 minutes 1 second' WHERE state = 2`;
  }
  expect(new Set(refs.slice(0, 5)).size).toBe(5);
  expect(refs.indexOf(lastResort)).toBe(5);
});

test('invented DIDs look like people without packages, and are charged the same', async () => {
  const caller = bed.client();
  const withoutPackages = bed.client();
  await withoutPackages.call('optIn', {});
  const costs: number[] = [];
  for (const did of [withoutPackages.did, bed.client().did, withoutPackages.did]) {
    const { headers, text } = await caller.raw('getKeyPackages', {
      search: `?dids=${did}&cipherSuite=${craftedSuite}`,
    });
    expect(JSON.parse(text)).toEqual({ keyPackages: [], missing: [did] });
    costs.push(Number(headers.get('RateLimit-Remaining')));
  }
  expect(costs).toEqual([0, 1, 2].map((later) => (costs[0] ?? 0) - later));
});

test('a conversation has a limit of bytes a minute for all its members, which non-members do not see', async () => {
  const [alice, bob, nonMember] = [bed.client(), bed.client(), bed.client()];
  const conversation = await createCraftedConversation(alice, [bob]);
  await sendCrafted(alice, conversation, { sizeBytes: eightMebiBytes });
  const message = craftMessage(conversation, { sizeBytes: eightMebiBytes });
  const refusal = await bob.refusal('sendMessage', message);
  expect([refusal.status, refusal.error, refusal.headers.get('RateLimit-Policy')]).toEqual([
    429,
    'RateLimitExceeded',
    `${largestKib};w=60`,
  ]);
  expect(refusal.body['message']).toContain('conversationBytes');
  expect(Number(refusal.headers.get('Retry-After'))).toBeGreaterThan(1);
  expect((await nonMember.refusal('sendMessage', message)).error).toBe('ConvoNotFound');
  await sendCrafted(bob, conversation, { sizeBytes: 512 });
});

test('an account has a limit of bytes a minute for all its conversations', async () => {
  const alice = bed.client();
  const conversations = [];
  for (let made = 0; made < 3; made++) conversations.push(await createCraftedConversation(alice, []));
  const [first, second, third] = conversations;
  for (const conversation of [first, second]) {
    if (conversation !== undefined) await sendCrafted(alice, conversation, { sizeBytes: eightMebiBytes });
  }
  if (third === undefined) throw new Error('a conversation is missing');
  const refusal = await alice.refusal('sendMessage', craftMessage(third, { sizeBytes: eightMebiBytes }));
  expect([refusal.status, refusal.headers.get('RateLimit-Policy')]).toEqual([429, '20480;w=60']);
  expect(refusal.body['message']).toContain('callerBytes');
});
