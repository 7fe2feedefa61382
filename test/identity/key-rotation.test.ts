import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDidDocuments } from '#identity/did-documents/did-documents.ts';
import type { DidDocuments } from '#identity/did-documents/did-documents.ts';
import { createFetchDidDocument } from '#identity/did-documents/fetch-did-document.ts';
import { systemClock } from '#platform/clock.ts';
import { createAccount } from '../support/clients/account.ts';
import type { Account } from '../support/clients/account.ts';
import { errorCode } from '../support/error-code.ts';
import { startLoopbackPlc } from '../support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../support/network/loopback-plc.ts';
import { createManualClock } from '../support/manual-clock.ts';
import type { ManualClock } from '../support/manual-clock.ts';

const minuteMs = 60_000;
const freshMs = 5 * minuteMs;

let plc: LoopbackPlc;
let clock: ManualClock;
let documents: DidDocuments;

beforeAll(async () => {
  plc = await startLoopbackPlc();
});
afterAll(() => plc.close());
beforeEach(() => {
  clock = createManualClock(1_800_000_000_000);
  documents = openDocuments();
});

function openDocuments({ entriesMax = 1_000 } = {}): DidDocuments {
  const network = 'private';
  const fetchDidDocument = createFetchDidDocument({ clock, network, plcUrl: plc.url, timeoutMs: 400 });
  return createDidDocuments({ fetchDidDocument, clock, network, entriesMax });
}

/** Whether the key in the cache verifies what `account` signs now. */
async function verifies(account: Account, options: Parameters<DidDocuments['signingKey']>[1] = {}): Promise<boolean> {
  const [header, payload, signature] = account.signToken('{}', '{}').split('.');
  const key = await documents.signingKey(account.did, options);
  return key.verify(Buffer.from(`${header}.${payload}`), Buffer.from(signature ?? '', 'base64url'));
}

async function eventually(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition did not come true');
    await systemClock.sleep(5);
  }
}

describe('documents grow old', () => {
  test('after four minutes one is refreshed behind the requests, which do not wait', async () => {
    const account = createAccount(plc);
    const before = await documents.signingKey(account.did);
    account.rotateKey();
    clock.advance(4 * minuteMs - 1);
    expect(await documents.signingKey(account.did)).toBe(before);
    expect(plc.requests(account.did)).toBe(1);
    clock.advance(1);
    plc.misbehave(account.did, 'hang');
    for (let i = 0; i < 10; i++) expect(await documents.signingKey(account.did)).toBe(before);
    await eventually(() => plc.pending() === 1);
    expect(plc.requests(account.did)).toBe(2);
    plc.misbehave(account.did, undefined);
    plc.release();
    await expect.poll(() => verifies(account)).toBe(true);
    expect(plc.requests(account.did)).toBe(2);
  });

  test.for([5, 59, 600])('after %i minutes without a request the old key is not used once more', async (minutes) => {
    const account = createAccount(plc);
    const before = await documents.signingKey(account.did);
    account.rotateKey();
    clock.advance(minutes * minuteMs);
    const keys = await Promise.all(Array.from({ length: 10 }, () => documents.signingKey(account.did)));
    expect(keys).not.toContain(before);
    expect(await verifies(account)).toBe(true);
    expect(plc.requests(account.did)).toBe(2);
  });

  test('the five minutes count from the question, not from the answer', async () => {
    const account = createAccount(plc);
    plc.misbehave(account.did, 'hang');
    const first = documents.signingKey(account.did);
    await eventually(() => plc.pending() === 1);
    clock.advance(399);
    plc.misbehave(account.did, undefined);
    plc.release();
    const before = await first;
    account.rotateKey();
    clock.advance(freshMs - 399);
    expect(await documents.signingKey(account.did)).not.toBe(before);
  });

  test('when the directory is down one serves for an hour, and the directory is asked less and less', async () => {
    const account = createAccount(plc);
    const known = await documents.signingKey(account.did);
    plc.misbehave(account.did, 'error');
    clock.advance(freshMs);
    let requests = 1;
    for (const waitMs of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
      expect(await documents.signingKey(account.did)).toBe(known);
      expect(plc.requests(account.did)).toBe(++requests);
      clock.advance(waitMs - 1);
      expect(await documents.signingKey(account.did)).toBe(known);
      expect(plc.requests(account.did)).toBe(requests);
      clock.advance(1);
    }
    clock.advance(55 * minuteMs);
    await expect(documents.signingKey(account.did)).rejects.toMatchObject({ code: 'IdentityUnavailable' });
    plc.misbehave(account.did, undefined);
    clock.advance(minuteMs);
    expect(await verifies(account)).toBe(true);
  });

  test('a tombstone takes the key away within five minutes', async () => {
    const [used, unused] = [createAccount(plc), createAccount(plc)];
    for (const { did } of [used, unused]) {
      await documents.signingKey(did);
      plc.misbehave(did, 'tombstone');
    }
    clock.advance(4 * minuteMs);
    await documents.signingKey(used.did);
    await expect.poll(() => documents.signingKey(used.did).catch(errorCode)).toBe('DidNotFound');
    clock.advance(minuteMs);
    await expect(documents.signingKey(unused.did)).rejects.toMatchObject({ code: 'DidNotFound' });
  });
});

describe('a forced refresh', () => {
  test('finds a rotated key at once, and happens every five seconds for a DID', async () => {
    const account = createAccount(plc);
    await documents.signingKey(account.did);
    account.rotateKey();
    clock.advance(2_000);
    expect(await verifies(account)).toBe(false);
    expect(await verifies(account, { refresh: 'force' })).toBe(true);
    expect(plc.requests(account.did)).toBe(2);
    account.rotateKey();
    clock.advance(4_999);
    for (let i = 0; i < 20; i++) expect(await verifies(account, { refresh: 'force' })).toBe(false);
    expect(plc.requests(account.did)).toBe(2);
    clock.advance(1);
    const answers = await Promise.all(Array.from({ length: 20 }, () => verifies(account, { refresh: 'force' })));
    expect(answers).toEqual(Array.from({ length: 20 }, () => true));
    expect(plc.requests(account.did)).toBe(3);
  });

  test('of many people at once happens ten times a second at most, and those who rotated are served soon', async () => {
    const accounts = Array.from({ length: 40 }, () => createAccount(plc));
    for (const { did } of accounts) await documents.signingKey(did);
    clock.advance(2_000);
    const before = plc.requests();
    const storm = (): Promise<unknown> =>
      Promise.all(
        Array.from({ length: 5 }, () =>
          accounts.map(({ did }) => documents.signingKey(did, { refresh: 'force' })),
        ).flat(),
      );
    for (const [step, fetches] of [10, 10, 20, 20, 30].entries()) {
      await storm();
      expect(plc.requests() - before, `after ${step * 500} ms`).toBe(fetches);
      clock.advance(500);
    }
    expect(Math.max(...accounts.map(({ did }) => plc.requests(did)))).toBe(2);
  });

  test('does not fetch a document twice for one junk token', async () => {
    const { did } = createAccount(plc);
    await documents.signingKey(did);
    await documents.signingKey(did, { refresh: 'force' });
    expect(plc.requests(did)).toBe(1);
  });

  test('that fails leaves the known key in use', async () => {
    const account = createAccount(plc);
    const known = await documents.signingKey(account.did);
    clock.advance(2_000);
    plc.misbehave(account.did, 'error');
    expect(await documents.signingKey(account.did, { refresh: 'force' })).toBe(known);
    expect(plc.requests(account.did)).toBe(2);
  });
});
