import type { Clock } from '#platform/clock.ts';
import type { AddressList } from './address-lists.ts';
import type { QuotaCharger } from '../table/charge.ts';
import type { AddressEvidence, ClientAddress, FindClient } from './client-address.ts';
import type { Awaitable, Decision } from '../table/decision.ts';
import type { FailedAuth } from '../failed-authentication/failed-auth.ts';
import { defaultWindowSeconds } from '../table/quotas.ts';
import type { BucketNames } from '../stores/quota-store.ts';

/** Somebody at the door, who has proven no identity yet. */
export interface AddressCharge {
  readonly client: ClientAddress;
  /** On the monotonic clock. */
  readonly chargedAtMs: number;
  /** Under which name the address is counted; undefined: nowhere, and never banned, because the operator lists it. */
  readonly bucket: BucketNames | undefined;
}

/** What became of a request at the door. */
export type Entry =
  | { readonly outcome: 'admitted'; readonly addressCharge: AddressCharge; readonly decision: Decision | undefined }
  /** A quota has no room, or the address is banned. */
  | { readonly outcome: 'limited'; readonly decision: Decision }
  /** The operator does not want requests from there. */
  | { readonly outcome: 'unwanted' }
  /** Nobody knows whose address to count. */
  | { readonly outcome: 'unknown' };

/** Everything that is counted before a request has an identity. */
export interface ClientAddressLimiter {
  admit(evidence: AddressEvidence): Awaitable<Entry>;
  /** The addressCharge has proven an identity: the address and its network get their charge back. */
  refund(addressCharge: AddressCharge): Awaitable<void>;
  /** The addressCharge's proof is forged or guessed. A refusal stands in place of the answer that says so; undefined if not counted. */
  countFailure(addressCharge: AddressCharge): Awaitable<Decision | undefined>;
}

export interface ClientAddressLimiterDeps {
  readonly clock: Clock;
  readonly quota: Pick<QuotaCharger, 'take' | 'refund' | 'limitOf' | 'nameOf'>;
  readonly failedAuth: FailedAuth;
  readonly clientOf: FindClient;
  /** Never counted before they have proven an identity. */
  readonly isAllowed: AddressList;
  /** Always refused; wins over `isAllowed`. */
  readonly isDenied: AddressList;
}

/**
 * Looks at a request in the order of cost: lists, bans, then quotas. A failure is counted after it happened and not before the next
 * attempt, so that users who share an address with a guesser are not refused for it; what the guesser costs is bounded by the
 * quotas of the address all the same.
 */
export function createClientAddressLimiter(deps: ClientAddressLimiterDeps): ClientAddressLimiter {
  const { quota, failedAuth } = deps;

  async function charge(client: ClientAddress, chargedAtMs: number): Promise<Entry> {
    const { prefix, network } = client;
    const bucket = quota.nameOf('address', prefix);
    const addressCharge = { client, chargedAtMs, bucket };
    const ofAddress = await quota.take('address', bucket);
    if (!ofAddress.allowed) return { outcome: 'limited', decision: ofAddress };
    if (network === undefined) return { outcome: 'admitted', addressCharge, decision: ofAddress };
    const ofNetwork = await quota.take('network', network);
    if (ofNetwork.allowed) {
      const tighter = ofNetwork.remaining < ofAddress.remaining ? ofNetwork : ofAddress;
      return { outcome: 'admitted', addressCharge, decision: tighter };
    }
    await quota.refund('address', bucket);
    return { outcome: 'limited', decision: ofNetwork };
  }

  return {
    admit(evidence) {
      const client = deps.clientOf(evidence);
      if (client === undefined) return { outcome: 'unknown' };
      if (deps.isDenied(client.address)) return { outcome: 'unwanted' };
      const chargedAtMs = deps.clock.monotonicMs();
      if (deps.isAllowed(client.address)) {
        return {
          outcome: 'admitted',
          addressCharge: { client, chargedAtMs, bucket: undefined },
          decision: undefined,
        };
      }
      const bannedForMs = failedAuth.bannedForMs(client);
      if (bannedForMs > 0) return { outcome: 'limited', decision: banDecision(deps, bannedForMs) };
      return charge(client, chargedAtMs);
    },
    async refund({ client, chargedAtMs, bucket }) {
      if (bucket === undefined) return;
      failedAuth.noteSuccess(client);
      const agoMs = deps.clock.monotonicMs() - chargedAtMs;
      await quota.refund('address', bucket, 1, agoMs);
      if (client.network !== undefined) await quota.refund('network', client.network, 1, agoMs);
    },
    countFailure({ client, bucket }) {
      if (bucket === undefined) return undefined;
      failedAuth.noteFailure(client);
      return quota.take('failedAuth', client.prefix);
    },
  };
}

function banDecision({ clock, quota }: ClientAddressLimiterDeps, bannedForMs: number): Decision {
  return {
    allowed: false,
    name: 'failedAuth',
    limit: quota.limitOf('failedAuth'),
    remaining: 0,
    unit: 'requests',
    windowSeconds: defaultWindowSeconds,
    resetAtSeconds: Math.ceil((clock.nowMs() + bannedForMs) / 1000),
    retryAfterSeconds: Math.ceil(bannedForMs / 1000),
  };
}
