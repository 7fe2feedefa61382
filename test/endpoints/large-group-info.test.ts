import { afterAll, beforeAll, expect, test } from 'vitest';
import { cipherSuiteNumber } from '#mls/cipher-suites.ts';
import { findGroupInfoMismatch } from '#mls/group-info/group-info-mismatch.ts';
import { readGroupInfo } from '#mls/group-info/group-info.ts';
import { required } from '#platform/errors.ts';
import { newSecret } from '#platform/ids.ts';
import { limits } from '#platform/limits.ts';
import { makeLargeGroupInfo } from '../support/mls/large-group-info.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed()));
afterAll(() => bed.stop());

const leafCount = limits.membersPerConversationMax;

/** Event loop iterations until `task` ends. */
async function iterationsDuring(task: Promise<unknown>): Promise<number> {
  let iterations = 0;
  const count = (): void => {
    iterations += 1;
    next = setImmediate(count);
  };
  let next = setImmediate(count);
  await task;
  clearImmediate(next);
  return iterations;
}

test.each([
  ['MLS_256_MLKEM1024_AES256GCM_SHA512_MLDSA87', 10_500_000],
  ['MLS_256_XWING_CHACHA20POLY1305_SHA512_MLDSA87', 9_800_000],
  ['MLS_256_MLKEM768_AES256GCM_SHA384_Ed25519', 2_500_000],
] as const)(
  'a tree of 1,000 leaves of %s is checked in slices and stored, and one with a changed leaf is refused',
  async (cipherSuite, sizeBytesMin) => {
    const alice = bed.client();
    const groupId = newSecret(32);
    const convoId = groupId.toString('hex');
    const bytes = await makeLargeGroupInfo({ groupId, epoch: 5, cipherSuite, leafCount });
    expect(bytes.length).toBeGreaterThan(sizeBytesMin);
    await alice.call('createConvo', { groupId: convoId, cipherSuite, currentEpoch: 5 });
    const changed = Buffer.from(bytes);
    const middle = Math.floor(bytes.length / 2);
    changed[middle] = (changed[middle] ?? 0) ^ 1;
    const bad = { convoId, groupInfo: changed.toString('base64'), epoch: 5 };
    expect((await alice.refusal('updateGroupInfo', bad)).error).toBe('InvalidGroupInfo');
    await alice.call('updateGroupInfo', { convoId, groupInfo: bytes.toString('base64'), epoch: 5 });
    const { groupInfo } = await alice.call('getGroupInfo', { convoId });
    expect(Buffer.from(groupInfo, 'base64').equals(bytes)).toBe(true);

    const expected = { groupId, cipherSuite: required(cipherSuiteNumber(cipherSuite), 'the suite') };
    const check = findGroupInfoMismatch(readGroupInfo(bytes), expected);
    expect(await iterationsDuring(check)).toBeGreaterThan(Math.floor(bytes.length / 1_048_576));
    expect(await check).toBeUndefined();
  },
  60_000,
);

test('the largest allowed GroupInfo fits into the body of a request', () => {
  const envelope = JSON.stringify({ convoId: 'f'.repeat(limits.groupIdHexLengthMax), groupInfo: '', epoch: 2 ** 53 });
  const base64SizeBytes = Math.ceil(limits.groupInfoSizeBytesMax / 3) * 4;
  expect(base64SizeBytes + envelope.length).toBeLessThan(limits.requestBodySizeBytesMax);
});
