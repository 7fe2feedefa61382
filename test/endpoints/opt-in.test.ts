import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newUuid } from '#platform/ids.ts';
import { publishPackages } from '../support/mls/published-packages.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

let bed: TestBed;

beforeAll(async () => {
  bed = await startTestBed();
});
afterAll(() => bed.stop());

describe('optIn and optOut', () => {
  test('a repeated opt-in changes nothing, and only the caller sees their own opt-in time', async () => {
    const [alice, bob] = [bed.client(), bed.client()];
    const first = await alice.call('optIn', {});
    expect(first).toEqual({ optedIn: true, optedInAt: expect.stringMatching(/:00\.000Z$/) });
    expect(await alice.call('optIn', {})).toEqual(first);
    const query = { dids: [alice.did] };
    expect(await alice.call('getOptInStatus', query)).toEqual({ statuses: [{ did: alice.did, ...first }] });
    expect(await bob.call('getOptInStatus', query)).toEqual({ statuses: [{ did: alice.did, optedIn: true }] });
    await alice.raw('optOut', { verb: 'POST' });
    expect(await alice.call('getOptInStatus', query)).toEqual({ statuses: [{ did: alice.did, optedIn: false }] });
  });

  test('a call may name only a device of the caller', async () => {
    const alice = bed.client();
    const refusal = await alice.refusal('optIn', { deviceId: newUuid() });
    expect([refusal.status, refusal.error]).toEqual([404, 'DeviceNotFound']);
    expect(await alice.call('getOptInStatus', { dids: [alice.did] })).toMatchObject({ statuses: [{ optedIn: false }] });
  });

  test('concurrent opt-ins of many people are all stored', async () => {
    const people = Array.from({ length: 8 }, () => bed.client());
    await Promise.all(people.flatMap((person) => [person.call('optIn', {}), person.call('optIn', {})]));
    const { statuses } = await bed.client().call('getOptInStatus', { dids: people.map(({ did }) => did) });
    expect(statuses.map(({ optedIn }) => optedIn)).toEqual(people.map(() => true));
  });
});

describe('a person who has opted out looks like a person without an account', () => {
  test('to others: no key packages, the same response bytes; to themselves nothing changes', async () => {
    const [alice, bob, noAccount] = [bed.client(), bed.client(), bed.account()];
    await publishPackages(alice, 3);
    const fetchPackages = (did: string) => bob.raw('getKeyPackages', { search: `?dids=${did}` });
    expect(JSON.parse((await fetchPackages(alice.did)).text)).toMatchObject({ keyPackages: [{ did: alice.did }] });
    await alice.raw('optOut', { verb: 'POST' });
    for (const name of ['getKeyPackages', 'getOptInStatus']) {
      const [ofAlice, ofNobody] = await Promise.all(
        [alice.did, noAccount.did].map(async (did) => {
          const { status, text } = await bob.raw(name, { search: `?dids=${did}` });
          return { status, text: text.replaceAll(did, 'did') };
        }),
      );
      expect(ofAlice).toEqual(ofNobody);
    }
    expect(await alice.call('getKeyPackages', { dids: [alice.did] })).toMatchObject({
      keyPackages: [{ did: alice.did }],
    });
    await alice.call('optIn', {});
    expect(JSON.parse((await fetchPackages(alice.did)).text)).toMatchObject({ keyPackages: [{ did: alice.did }] });
  });

  test('a call takes up to 100 people, repeated or comma-separated, and returns each once', async () => {
    const bob = bed.client();
    const dids = Array.from({ length: 100 }, () => bed.account().did);
    const search = `?dids=${dids.slice(0, 50).join(',')}&${dids
      .slice(50)
      .map((did) => `dids=${did}`)
      .join('&')}`;
    const { status, text } = await bob.raw('getOptInStatus', { search });
    expect([status, JSON.parse(text)]).toEqual([200, { statuses: dids.map((did) => ({ did, optedIn: false })) }]);
    const more = await bob.raw('getOptInStatus', { search: `${search}&dids=${bob.did}` });
    expect(more.status).toBe(400);
  });
});

test('a row does not show the choice: settings are sealed and of one size', async () => {
  const [withoutChoice, withChoice] = [bed.client(), bed.client()];
  await publishPackages(withoutChoice);
  await withChoice.call('optIn', {});
  const rows = await bed.database.sql<{ size: number; text: string }[]>`
    SELECT length(sealed_settings) AS size, encode(sealed_settings, 'escape') AS text FROM accounts`;
  expect(rows.length).toBeGreaterThan(2);
  expect(new Set(rows.map(({ size }) => size)).size).toBe(1);
  expect(rows.filter(({ text }) => text.includes('optIn'))).toEqual([]);
});
