import { describe, expect, test } from 'vitest';
import { createAccount } from '../support/clients/account.ts';
import { errorCode } from '../support/error-code.ts';
import { eventually, freshMs, minuteMs, useDidDocuments } from './did-documents-fixture.ts';

const fixture = useDidDocuments();

describe('cached documents expire', () => {
  test('after four minutes a document is refreshed in the background, and requests do not wait', async () => {
    const account = createAccount(fixture.plc);
    const before = await fixture.documents.signingKey(account.did);
    account.rotateKey();
    fixture.clock.advance(4 * minuteMs - 1);
    expect(await fixture.documents.signingKey(account.did)).toBe(before);
    expect(fixture.plc.requests(account.did)).toBe(1);
    fixture.clock.advance(1);
    fixture.plc.misbehave(account.did, 'hang');
    for (let i = 0; i < 10; i++) expect(await fixture.documents.signingKey(account.did)).toBe(before);
    await eventually(() => fixture.plc.pending() === 1);
    expect(fixture.plc.requests(account.did)).toBe(2);
    fixture.plc.misbehave(account.did, undefined);
    fixture.plc.release();
    await expect.poll(() => fixture.verifies(account)).toBe(true);
    expect(fixture.plc.requests(account.did)).toBe(2);
  });

  test.for([5, 59, 600])('after %i minutes without a request the old key is not used again', async (minutes) => {
    const account = createAccount(fixture.plc);
    const before = await fixture.documents.signingKey(account.did);
    account.rotateKey();
    fixture.clock.advance(minutes * minuteMs);
    const keys = await Promise.all(Array.from({ length: 10 }, () => fixture.documents.signingKey(account.did)));
    expect(keys).not.toContain(before);
    expect(await fixture.verifies(account)).toBe(true);
    expect(fixture.plc.requests(account.did)).toBe(2);
  });

  test('the five minutes count from the request, not from the response', async () => {
    const account = createAccount(fixture.plc);
    fixture.plc.misbehave(account.did, 'hang');
    const first = fixture.documents.signingKey(account.did);
    await eventually(() => fixture.plc.pending() === 1);
    fixture.clock.advance(399);
    fixture.plc.misbehave(account.did, undefined);
    fixture.plc.release();
    const before = await first;
    account.rotateKey();
    fixture.clock.advance(freshMs - 399);
    expect(await fixture.documents.signingKey(account.did)).not.toBe(before);
  });

  test('while the directory is down, a document is used for an hour, and the time between requests doubles', async () => {
    const account = createAccount(fixture.plc);
    const known = await fixture.documents.signingKey(account.did);
    fixture.plc.misbehave(account.did, 'error');
    fixture.clock.advance(freshMs);
    let requests = 1;
    for (const waitMs of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
      expect(await fixture.documents.signingKey(account.did)).toBe(known);
      expect(fixture.plc.requests(account.did)).toBe(++requests);
      fixture.clock.advance(waitMs - 1);
      expect(await fixture.documents.signingKey(account.did)).toBe(known);
      expect(fixture.plc.requests(account.did)).toBe(requests);
      fixture.clock.advance(1);
    }
    fixture.clock.advance(55 * minuteMs);
    await expect(fixture.documents.signingKey(account.did)).rejects.toMatchObject({ code: 'IdentityUnavailable' });
    fixture.plc.misbehave(account.did, undefined);
    fixture.clock.advance(minuteMs);
    expect(await fixture.verifies(account)).toBe(true);
  });

  test('after a tombstone the key is refused within five minutes', async () => {
    const [used, unused] = [createAccount(fixture.plc), createAccount(fixture.plc)];
    for (const { did } of [used, unused]) {
      await fixture.documents.signingKey(did);
      fixture.plc.misbehave(did, 'tombstone');
    }
    fixture.clock.advance(4 * minuteMs);
    await fixture.documents.signingKey(used.did);
    await expect.poll(() => fixture.documents.signingKey(used.did).catch(errorCode)).toBe('DidNotFound');
    fixture.clock.advance(minuteMs);
    await expect(fixture.documents.signingKey(unused.did)).rejects.toMatchObject({ code: 'DidNotFound' });
  });
});

describe('a forced refresh', () => {
  test('finds a rotated key at once, and is allowed every five seconds for a DID', async () => {
    const account = createAccount(fixture.plc);
    await fixture.documents.signingKey(account.did);
    account.rotateKey();
    fixture.clock.advance(2_000);
    expect(await fixture.verifies(account)).toBe(false);
    expect(await fixture.verifies(account, { refresh: 'force' })).toBe(true);
    expect(fixture.plc.requests(account.did)).toBe(2);
    account.rotateKey();
    fixture.clock.advance(4_999);
    for (let i = 0; i < 20; i++) expect(await fixture.verifies(account, { refresh: 'force' })).toBe(false);
    expect(fixture.plc.requests(account.did)).toBe(2);
    fixture.clock.advance(1);
    const results = await Promise.all(
      Array.from({ length: 20 }, () => fixture.verifies(account, { refresh: 'force' })),
    );
    expect(results).toEqual(Array.from({ length: 20 }, () => true));
    expect(fixture.plc.requests(account.did)).toBe(3);
  });

  test('is made ten times a second at most for all DIDs, and rotated keys are found soon', async () => {
    const accounts = Array.from({ length: 40 }, () => createAccount(fixture.plc));
    for (const { did } of accounts) await fixture.documents.signingKey(did);
    fixture.clock.advance(2_000);
    const before = fixture.plc.requests();
    const storm = (): Promise<unknown> =>
      Promise.all(
        Array.from({ length: 5 }, () =>
          accounts.map(({ did }) => fixture.documents.signingKey(did, { refresh: 'force' })),
        ).flat(),
      );
    for (const [step, fetches] of [10, 10, 20, 20, 30].entries()) {
      await storm();
      expect(fixture.plc.requests() - before, `after ${step * 500} ms`).toBe(fetches);
      fixture.clock.advance(500);
    }
    expect(Math.max(...accounts.map(({ did }) => fixture.plc.requests(did)))).toBe(2);
  });

  test('does not fetch a document twice for one forged token', async () => {
    const { did } = createAccount(fixture.plc);
    await fixture.documents.signingKey(did);
    await fixture.documents.signingKey(did, { refresh: 'force' });
    expect(fixture.plc.requests(did)).toBe(1);
  });

  test('that fails leaves the cached key in use', async () => {
    const account = createAccount(fixture.plc);
    const known = await fixture.documents.signingKey(account.did);
    fixture.clock.advance(2_000);
    fixture.plc.misbehave(account.did, 'error');
    expect(await fixture.documents.signingKey(account.did, { refresh: 'force' })).toBe(known);
    expect(fixture.plc.requests(account.did)).toBe(2);
  });
});
