import type { Clock } from '#platform/clock.ts';
import type { AddressList } from './address-lists.ts';
import type { QuotaCharger } from '../table/charge.ts';
import type { AddressEvidence, ClientAddress, FindClient } from './client-address.ts';
import type { Awaitable, Decision } from '../table/decision.ts';
import type { FailedAuth } from '../failed-authentication/failed-auth.ts';
import { defaultWindowSeconds } from '../table/quotas.ts';
import type { BucketNames } from '../stores/quota-store.ts';

/** The charge of a request that is not authenticated yet. */
export interface AddressCharge {
  readonly client: ClientAddress;
  /** On the monotonic clock. */
  readonly chargedAtMs: number;
  /**
   * The name of the counted bucket. Undefined for an address on the allow list, which is neither counted nor banned.
   */
  readonly bucket: BucketNames | undefined;
}

/** The result of admitting a request by its client address. */
export type AdmissionResult =
  | { readonly outcome: 'admitted'; readonly addressCharge: AddressCharge; readonly decision: Decision | undefined }
  /** A quota is exhausted, or the address is banned. */
  | { readonly outcome: 'limited'; readonly decision: Decision }
  /** The address is on the deny list. */
  | { readonly outcome: 'unwanted' }
  /** The client address cannot be determined. */
  | { readonly outcome: 'unknown' };

/** Limits requests by client address before they are authenticated. */
export interface ClientAddressLimiter {
  admit(evidence: AddressEvidence): Awaitable<AdmissionResult>;
  /** Refunds the charges of the address and of its network, because the request is authenticated. */
  refund(addressCharge: AddressCharge): Awaitable<void>;
  /**
   * Counts a failed authentication (a forged or guessed credential). Returns undefined if the address is not counted; a
   * refusal replaces the 401 response.
   */
  countFailure(addressCharge: AddressCharge): Awaitable<Decision | undefined>;
}

export interface ClientAddressLimiterDeps {
  readonly clock: Clock;
  readonly quota: Pick<QuotaCharger, 'take' | 'refund' | 'limitOf' | 'nameOf'>;
  readonly failedAuth: FailedAuth;
  readonly clientOf: FindClient;
  /** Addresses that are not counted before authentication. */
  readonly isAllowed: AddressList;
  /** Addresses that are always refused; takes precedence over `isAllowed`. */
  readonly isDenied: AddressList;
}

/**
 * Checks a request in the order of cost: address lists, bans, quotas. A failure is counted after it happened and not
 * before the next attempt, so that users who share an address with an attacker are not refused for it. The quotas of
 * the address limit what the attacker costs.
 */
export function createClientAddressLimiter(deps: ClientAddressLimiterDeps): ClientAddressLimiter {
  const { quota, failedAuth } = deps;

  async function charge(client: ClientAddress, chargedAtMs: number): Promise<AdmissionResult> {
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
      failedAuth.recordSuccess(client);
      const agoMs = deps.clock.monotonicMs() - chargedAtMs;
      await quota.refund('address', bucket, 1, agoMs);
      if (client.network !== undefined) await quota.refund('network', client.network, 1, agoMs);
    },
    countFailure({ client, bucket }) {
      if (bucket === undefined) return undefined;
      failedAuth.recordFailure(client);
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
