import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAuthenticator } from '#auth/authenticate.ts';
import type { Authenticate } from '#auth/authenticate.ts';
import { createDidDocuments } from '#identity/did-documents/did-documents.ts';
import { createFetchDidDocument } from '#identity/did-documents/fetch-did-document.ts';
import { newUuid } from '#platform/ids.ts';
import { createAccount } from '../support/clients/account.ts';
import type { Account } from '../support/clients/account.ts';
import { errorCode } from '../support/error-code.ts';
import { startLoopbackPlc } from '../support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../support/network/loopback-plc.ts';
import { createManualClock } from '../support/manual-clock.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { startTestBed } from '../support/test-server.ts';
import { createXrpcClient } from '../support/clients/xrpc-client.ts';

const service = 'did:web:nightjar.test';
const lxm = 'blue.catbird.mls.sendMessage';
const stepMs = 200;
const attackMs = 12_000;

let plc: LoopbackPlc;
let clock: ManualClock;
let authenticate: Authenticate;

beforeAll(async () => {
  plc = await startLoopbackPlc();
});
afterAll(() => plc.close());
beforeEach(() => {
  clock = createManualClock(1_800_000_000_000);
  const network = 'private';
  const fetchDidDocument = createFetchDidDocument({ clock, network, plcUrl: plc.url, timeoutMs: 400 });
  authenticate = createAuthenticator({
    documents: createDidDocuments({ fetchDidDocument, clock, network, entriesMax: 1_000 }),
    // Every token of this test is new, and nobody has a record of used ones here.
    replayGuard: { firstUse: async () => 'first', isRevoked: async () => false, ensureBorn: async () => undefined },
    clock,
    audiences: [service],
    enforceLxm: true,
    enforceJti: true,
  });
});

function mint(signer: Account, as = signer): string {
  const claims = { aud: service, lxm, iss: as.did, jti: newUuid() };
  return signer.mintToken(claims, { nowSeconds: Math.floor(clock.nowMs() / 1_000) });
}

/** The DID that is let in, or the code of the refusal. */
async function present(from: string, token: string): Promise<unknown> {
  return authenticate(`Bearer ${token}`, lxm, { current: from }).then(({ did }) => did, errorCode);
}

/** Calls in the name of `as` with a token that `signer` has signed. */
async function call(from: string, signer: Account, as = signer): Promise<unknown> {
  return present(from, mint(signer, as));
}

interface Attack {
  readonly name: string;
  /** Addresses that the junk comes from. */
  readonly addresses: number;
  /** Whether each of them has proven a DID of its own. */
  readonly isProven: boolean;
  /** How many others are named beside the victim. */
  readonly others: number;
  /** Whether the victim's address has proven the victim's DID before. */
  readonly isVictimKnown: boolean;
}

const attacks: readonly Attack[] = [1, 30].flatMap((addresses) =>
  [true, false].flatMap((isProven) =>
    [0, 40].map((others) => ({
      name: `${addresses} addresses, ${isProven ? 'with' : 'without'} a proof, that name ${others} others`,
      addresses,
      isProven,
      others,
      isVictimKnown: true,
    })),
  ),
);

async function prepare(attack: Attack): Promise<{ victim: Account; junk: () => Promise<unknown[]> }> {
  const [victim, forger] = [createAccount(plc), createAccount(plc)];
  const others = Array.from({ length: attack.others }, () => createAccount(plc));
  const from = Array.from({ length: attack.addresses }, (_, at) => `attacker-${at}`);
  if (attack.isProven) for (const address of from) expect(await call(address, forger)).toBe(forger.did);
  for (const other of others) expect(await call('elsewhere', other)).toBe(other.did);
  expect(await call(attack.isVictimKnown ? 'home' : 'elsewhere', victim)).toBe(victim.did);
  clock.advance(2_000);
  // Forged once and sent again and again, as long as they live: what is refused is not remembered.
  const forged = [victim, ...others].map((as) => mint(forger, as));
  const junk = (): Promise<unknown[]> =>
    Promise.all(forged.map((token, at) => present(from[at % from.length] ?? '', token)));
  return { victim, junk };
}

describe('junk in the name of a victim', () => {
  test.for(attacks)('does not keep a rotated key out: $name', async (attack) => {
    const { victim, junk } = await prepare(attack);
    const before = { all: plc.requests(), victim: plc.requests(victim.did) };
    for (let passedMs = 0; passedMs < attackMs; passedMs += stepMs) {
      const refusals = new Set(await junk());
      expect([...refusals]).toEqual(['BadJwtSignature']);
      clock.advance(stepMs);
      // Each soon after a document that the junk made us fetch, and further apart than the owner's refreshes.
      if (passedMs % 6_000 !== 3_000) continue;
      const stolen = [mint(victim), mint(victim)] as const;
      expect(await present('thief', stolen[0])).toBe(victim.did);
      victim.rotateKey();
      expect(await call('home', victim), `after ${passedMs} ms`).toBe(victim.did);
      expect(await present('thief', stolen[1]), 'the old key, once the new document is known').toBe('BadJwtSignature');
    }
    expect(plc.requests(victim.did) - before.victim).toBeLessThanOrEqual(2 * (attackMs / 5_000 + 1));
    expect(plc.requests() - before.all).toBeLessThanOrEqual(10 * (attackMs / 1_000));
  });

  test('delays an owner at a new address by 15 seconds at most', async () => {
    const attack = { name: '', addresses: 1, isProven: false, others: 0, isVictimKnown: false };
    const { victim, junk } = await prepare(attack);
    clock.advance(15_000);
    await junk();
    victim.rotateKey();
    let passedMs = 0;
    for (; (await call('new', victim)) !== victim.did; passedMs += stepMs) {
      await junk();
      clock.advance(stepMs);
    }
    expect(passedMs).toBeLessThanOrEqual(15_000);
  });

  test('that comes from the owner’s own address delays the owner by five seconds at most', async () => {
    const [victim, forger] = [createAccount(plc), createAccount(plc)];
    await call('home', victim);
    clock.advance(2_000);
    await call('home', forger, victim);
    victim.rotateKey();
    let passedMs = 0;
    for (; (await call('home', victim)) !== victim.did; passedMs += stepMs) {
      await call('home', forger, victim);
      clock.advance(stepMs);
    }
    expect(passedMs).toBeLessThanOrEqual(5_000);
  });

  test('a fetch that was under way before the rotation is not the last word', async () => {
    const [victim, forger] = [createAccount(plc), createAccount(plc)];
    await call('home', victim);
    clock.advance(20_000);
    const oldDocument = victim.document();
    plc.misbehave(victim.did, 'hang');
    const junk = call('attacker', forger, victim);
    await expect.poll(() => plc.pending()).toBe(1);
    victim.rotateKey();
    const newDocument = victim.document();
    clock.advance(10);
    const answer = call('home', victim);
    // The directory answers what it knew when it was asked.
    plc.register(oldDocument);
    plc.misbehave(victim.did, undefined);
    setImmediate(() => {
      plc.release();
      setImmediate(() => plc.register(newDocument));
    });
    expect(await answer).toBe(victim.did);
    expect(await junk).toBe('BadJwtSignature');
  });
});

test('over HTTP: hundreds of forged tokens a second from another address do not delay the owner', async () => {
  const bed = await startTestBed({ env: { TRUSTED_PROXY_CIDRS: '127.0.0.1/32' } });
  try {
    const [victim, forger] = [bed.account(), bed.account()];
    const client = createXrpcClient({ server: bed.server(), account: victim });
    const ask = async (address: string, token: string): Promise<number> => {
      const answer = await client.raw('getConvos', { token, headers: { 'X-Forwarded-For': address } });
      return answer.status;
    };
    expect(await ask('203.0.113.9', client.token('getConvos'))).toBe(200);
    const forged = (): string =>
      forger.mintToken({ aud: bed.server().serviceDid, lxm: 'blue.catbird.mls.getConvos', iss: victim.did });
    const junk = async (): Promise<void> => {
      const statuses = await Promise.all(Array.from({ length: 50 }, () => ask('198.51.100.7', forged())));
      expect(new Set(statuses)).toEqual(new Set([401]));
    };
    const fetchesBefore = bed.plc.requests(victim.did);
    const startedMs = performance.now();
    let sent = 0;
    for (; sent < 200 || performance.now() - startedMs < 2_000; sent += 50) await junk();
    victim.rotateKey();
    const during = junk();
    expect(await ask('203.0.113.9', client.token('getConvos'))).toBe(200);
    await during;
    expect(bed.plc.requests(victim.did) - fetchesBefore).toBeLessThanOrEqual(4);
  } finally {
    await bed.stop();
  }
});
