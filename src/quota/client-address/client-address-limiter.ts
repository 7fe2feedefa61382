import type { Clock } from '#platform/clock.ts';
import type { AddressList } from './address-lists.ts';
import type { QuotaCharger } from '../table/charge.ts';
import type { AddressEvidence, ClientAddress, FindClient } from './client-address.ts';
import type { Decision } from '../table/decision.ts';
import type { FailedAuth } from '../failed-authentication/failed-auth.ts';
import { defaultWindowSeconds } from '../table/quotas.ts';
import type { BucketNames } from '../stores/quota-store.ts';

/** The charge of a request before its authentication, which is refunded once the request is authenticated. */
export interface AddressCharge {
  readonly client: ClientAddress;
  /** Milliseconds on the monotonic clock. */
  readonly chargedAtMs: number;
  /**
   * The names of the charged bucket; undefined for an address on the allow list, which is neither counted nor banned.
   */
  readonly bucket: BucketNames | undefined;
}

/** States whether a request is admitted by its client address, or why it is refused. */
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
  admit(evidence: AddressEvidence): AdmissionResult;
  /** Refunds the charges of the address and of its network, because the request is authenticated. */
  refund(addressCharge: AddressCharge): void;
  /**
   * Counts a failed authentication (a forged or guessed credential), unless the address is on the allow list. If the
   * result is a refusal, the caller sends the refusal instead of the 401 response.
   */
  countFailure(addressCharge: AddressCharge): Decision | undefined;
}

export interface ClientAddressLimiterDeps {
  readonly clock: Clock;
  readonly quota: Pick<QuotaCharger, 'takeAddress' | 'refundAddress' | 'limitOf' | 'namer'>;
  readonly failedAuth: FailedAuth;
  readonly clientOf: FindClient;
  /** Addresses whose requests are neither counted nor banned. */
  readonly isAllowed: AddressList;
  /** Addresses whose requests are always refused, even if `isAllowed` contains them too. */
  readonly isDenied: AddressList;
}

/**
 * Creates a limiter that checks address lists first, then bans, then quotas, because this is the order of their cost. A
 * failed authentication is charged only after it happened, so that users who share an address with an attacker can
 * still authenticate.
 */
export function createClientAddressLimiter(deps: ClientAddressLimiterDeps): ClientAddressLimiter {
  const { quota, failedAuth } = deps;

  function charge(client: ClientAddress, chargedAtMs: number): AdmissionResult {
    const { prefix, network } = client;
    const addressCharge = { client, chargedAtMs, bucket: prefix.namesOf(quota.namer, 'address') };
    const ofAddress = quota.takeAddress('address', prefix);
    if (!ofAddress.allowed) return { outcome: 'limited', decision: ofAddress };
    if (network === undefined) return { outcome: 'admitted', addressCharge, decision: ofAddress };
    const ofNetwork = quota.takeAddress('network', network);
    if (ofNetwork.allowed) {
      const tighter = ofNetwork.remaining < ofAddress.remaining ? ofNetwork : ofAddress;
      return { outcome: 'admitted', addressCharge, decision: tighter };
    }
    quota.refundAddress('address', prefix);
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
    refund({ client, chargedAtMs, bucket }) {
      if (bucket === undefined) return;
      failedAuth.recordSuccess(client);
      const agoMs = deps.clock.monotonicMs() - chargedAtMs;
      quota.refundAddress('address', client.prefix, agoMs);
      if (client.network !== undefined) quota.refundAddress('network', client.network, agoMs);
    },
    countFailure({ client, bucket }) {
      if (bucket === undefined) return undefined;
      failedAuth.recordFailure(client);
      return quota.takeAddress('failedAuth', client.prefix);
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
