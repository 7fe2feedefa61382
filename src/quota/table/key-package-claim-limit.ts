import type { Caller } from '#domain/caller.ts';
import type { QuotaCharger } from './charge.ts';

type ClaimQuota = 'keyPackageTargetByCaller' | 'keyPackageTarget';

/** Charges claims of key packages. `take` returns whether the caller may claim a one-time key package. */
interface ClaimCharger {
  take(caller: Caller, ownerDid: string): Promise<boolean>;
  refund(caller: Caller, ownerDid: string): Promise<void>;
}

/**
 * Creates a limit on claims of key packages by two quotas, one for each pair of caller and owner, and one for each
 * owner.
 */
export function createClaimLimit(deps: {
  readonly quota: Pick<QuotaCharger, 'take' | 'refund'>;
  /** Called when a quota has no room for a claim, so that the caller gets the last-resort key package. */
  readonly onExhausted: (quota: ClaimQuota) => void;
}): ClaimCharger {
  const { quota, onExhausted } = deps;
  const pair = (callerDid: string, ownerDid: string): string => `${ownerDid}\0${callerDid}`;
  return {
    async take(caller, ownerDid) {
      const own = await quota.take('keyPackageTargetByCaller', pair(caller.did, ownerDid));
      if (!own.allowed) {
        onExhausted('keyPackageTargetByCaller');
        return false;
      }
      const all = await quota.take('keyPackageTarget', ownerDid);
      if (all.allowed) return true;
      onExhausted('keyPackageTarget');
      await quota.refund('keyPackageTargetByCaller', pair(caller.did, ownerDid));
      return false;
    },
    async refund(caller, ownerDid) {
      await quota.refund('keyPackageTargetByCaller', pair(caller.did, ownerDid));
      await quota.refund('keyPackageTarget', ownerDid);
    },
  };
}
