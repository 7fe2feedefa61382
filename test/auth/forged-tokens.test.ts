import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAuthenticator } from '#auth/authenticate.ts';
import type { Authenticate } from '#auth/authenticate.ts';
import { createDidDocuments } from '#identity/did-documents/did-documents.ts';
import { createFetchDidDocument } from '#identity/did-documents/fetch-did-document.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
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
    // Every token of this test is new, so no record of used tokens is needed.
    replayGuard: {
      markOf: () => ({ digest: newSecret(16), expiresAtSeconds: 0, account: newSecret(16), issuedAtSeconds: 0 }),
      record: async () => 'first',
      firstUse: async () => 'first',
      isRevoked: async () => false,
      ensureRecord: async () => undefined,
    },
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

/** Returns the authenticated DID, or the code of the refusal. */
async function present(from: string, token: string): Promise<unknown> {
  const address = { current: from, previous: undefined };
  return authenticate(`Bearer ${token}`, lxm, { address }).then(({ caller }) => caller.did, errorCode);
}

/** Authenticates as `as` with a token that `signer` has signed. */
async function call(from: string, signer: Account, as = signer): Promise<unknown> {
  return present(from, mint(signer, as));
}

interface Attack {
  readonly name: string;
  /** Number of addresses that send forged tokens. */
  readonly addresses: number;
  /** Whether each address has authenticated as a DID of its own. */
  readonly isProven: boolean;
  /** Number of other issuers in the forged tokens, not counting the victim. */
  readonly others: number;
  /** Whether the victim's address has authenticated as the victim before. */
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

async function prepare(attack: Attack): Promise<{ victim: Account; sendForged: () => Promise<unknown[]> }> {
  const [victim, forger] = [createAccount(plc), createAccount(plc)];
  const others = Array.from({ length: attack.others }, () => createAccount(plc));
  const from = Array.from({ length: attack.addresses }, (_, at) => `attacker-${at}`);
  if (attack.isProven) for (const address of from) expect(await call(address, forger)).toBe(forger.did);
  for (const other of others) expect(await call('elsewhere', other)).toBe(other.did);
  expect(await call(attack.isVictimKnown ? 'home' : 'elsewhere', victim)).toBe(victim.did);
  clock.advance(2_000);
  // Forged once and sent repeatedly until they expire, because refused tokens are not recorded.
  const forged = [victim, ...others].map((as) => mint(forger, as));
  const sendForged = (): Promise<unknown[]> =>
    Promise.all(forged.map((token, at) => present(from[at % from.length] ?? '', token)));
  return { victim, sendForged };
}

describe('forged tokens in the name of a victim', () => {
  test.for(attacks)('do not delay a rotated key: $name', async (attack) => {
    const { victim, sendForged } = await prepare(attack);
    const before = { all: plc.requests(), victim: plc.requests(victim.did) };
    for (let passedMs = 0; passedMs < attackMs; passedMs += stepMs) {
      const refusals = new Set(await sendForged());
      expect([...refusals]).toEqual(['BadJwtSignature']);
      clock.advance(stepMs);
      // Each rotation follows soon after a fetch that the forged tokens caused, and the distance exceeds that of owners' refreshes.
      if (passedMs % 6_000 !== 3_000) continue;
      const stolen = [mint(victim), mint(victim)] as const;
      expect(await present('attacker', stolen[0])).toBe(victim.did);
      victim.rotateKey();
      expect(await call('home', victim), `after ${passedMs} ms`).toBe(victim.did);
      expect(await present('attacker', stolen[1]), 'the old key, once the new document is known').toBe(
        'BadJwtSignature',
      );
    }
    expect(plc.requests(victim.did) - before.victim).toBeLessThanOrEqual(2 * (attackMs / 5_000 + 1));
    expect(plc.requests() - before.all).toBeLessThanOrEqual(10 * (attackMs / 1_000));
  });

  test('delay an owner at a new address by 15 seconds at most', async () => {
    const attack = { name: '', addresses: 1, isProven: false, others: 0, isVictimKnown: false };
    const { victim, sendForged } = await prepare(attack);
    clock.advance(15_000);
    await sendForged();
    victim.rotateKey();
    let passedMs = 0;
    for (; (await call('new', victim)) !== victim.did; passedMs += stepMs) {
      await sendForged();
      clock.advance(stepMs);
    }
    expect(passedMs).toBeLessThanOrEqual(15_000);
  });

  test('from the owner’s own address delay the owner by five seconds at most', async () => {
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

  test('cannot make a fetch from before the rotation decide about a token', async () => {
    const [victim, forger] = [createAccount(plc), createAccount(plc)];
    await call('home', victim);
    clock.advance(20_000);
    const oldDocument = victim.document();
    plc.misbehave(victim.did, 'hang');
    const forgedCall = call('attacker', forger, victim);
    await expect.poll(() => plc.pending()).toBe(1);
    victim.rotateKey();
    const newDocument = victim.document();
    clock.advance(10);
    const response = call('home', victim);
    // The directory responds with the document of the time of the request.
    plc.register(oldDocument);
    plc.misbehave(victim.did, undefined);
    setImmediate(() => {
      plc.release();
      setImmediate(() => plc.register(newDocument));
    });
    expect(await response).toBe(victim.did);
    expect(await forgedCall).toBe('BadJwtSignature');
  });
});

test('over HTTP: hundreds of forged tokens a second from another address do not delay the owner', async () => {
  const bed = await startTestBed({ env: { TRUSTED_PROXY_CIDRS: '127.0.0.1/32' } });
  try {
    const [victim, forger] = [bed.account(), bed.account()];
    const client = createXrpcClient({ server: bed.server(), account: victim });
    const send = async (address: string, token: string): Promise<number> => {
      const response = await client.raw('getConvos', { token, headers: { 'X-Forwarded-For': address } });
      return response.status;
    };
    expect(await send('203.0.113.9', client.token('getConvos'))).toBe(200);
    const forged = (): string =>
      forger.mintToken({ aud: bed.server().serviceDid, lxm: 'blue.catbird.mls.getConvos', iss: victim.did });
    const sendForged = async (): Promise<void> => {
      const statuses = await Promise.all(Array.from({ length: 50 }, () => send('198.51.100.7', forged())));
      expect(new Set(statuses)).toEqual(new Set([401]));
    };
    const fetchesBefore = bed.plc.requests(victim.did);
    const startedMs = performance.now();
    let sent = 0;
    for (; sent < 200 || performance.now() - startedMs < 2_000; sent += 50) await sendForged();
    victim.rotateKey();
    const during = sendForged();
    expect(await send('203.0.113.9', client.token('getConvos'))).toBe(200);
    await during;
    expect(bed.plc.requests(victim.did) - fetchesBefore).toBeLessThanOrEqual(4);
  } finally {
    await bed.stop();
  }
});
