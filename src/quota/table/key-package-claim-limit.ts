import type { Caller } from '#domain/caller.ts';
import type { QuotaCharger } from './charge.ts';

type DrainQuota = 'keyPackageTargetByCaller' | 'keyPackageTarget';

/** Charges claims of key packages; the domain's operation says what the two mean. */
interface DrainCharger {
  take(caller: Caller, ownerDid: string): Promise<boolean>;
  refund(caller: Caller, ownerDid: string): Promise<void>;
}

/** The drain budget of key packages, counted by two rows of the table: for each caller and owner, and for each owner. */
export function createClaimLimit(deps: {
  readonly quota: Pick<QuotaCharger, 'take' | 'refund'>;
  /** Called where a claim finds no room and gets the last-resort package. */
  readonly onSpent: (quota: DrainQuota) => void;
}): DrainCharger {
  const { quota, onSpent } = deps;
  const pair = (callerDid: string, ownerDid: string): string => `${ownerDid}\0${callerDid}`;
  return {
    async take(caller, ownerDid) {
      const own = await quota.take('keyPackageTargetByCaller', pair(caller.did, ownerDid));
      if (!own.allowed) {
        onSpent('keyPackageTargetByCaller');
        return false;
      }
      const all = await quota.take('keyPackageTarget', ownerDid);
      if (all.allowed) return true;
      onSpent('keyPackageTarget');
      await quota.refund('keyPackageTargetByCaller', pair(caller.did, ownerDid));
      return false;
    },
    async refund(caller, ownerDid) {
      await quota.refund('keyPackageTargetByCaller', pair(caller.did, ownerDid));
      await quota.refund('keyPackageTarget', ownerDid);
    },
  };
}
