import type { ConsumedKeyPackage } from '#domain/key-packages/single-use/consume-key-packages.ts';
import { padToBucket } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { insertWelcomes } from './store.ts';

/**
 * Stores a Welcome for the devices whose packages it uses, in the transaction of its commit so that it exists only if
 * the commit is accepted. The bytes are sealed, because the KeyPackageRefs in them would link conversations.
 */
export async function deliverWelcome(
  deps: { privacy: Privacy; timeBucketSeconds: number },
  tx: Tx,
  delivery: { groupId: Buffer; epoch: number; welcome: Buffer; recipients: readonly ConsumedKeyPackage[] },
): Promise<void> {
  const { privacy } = deps;
  const { groupId, epoch } = delivery;
  await insertWelcomes(
    tx,
    {
      groupId,
      epoch,
      sealedWelcome: privacy.seal('welcome', [groupId, epoch], padToBucket(delivery.welcome)),
      keyId: privacy.keyId,
      bucketSeconds: deps.timeBucketSeconds,
    },
    delivery.recipients.map(({ ref, did, deviceTag }) => ({
      ref: privacy.pseudonym('welcome-ref', [groupId], ref),
      recipient: welcomeRecipient(privacy, groupId, did),
      device: welcomeDevice(privacy, groupId, deviceTag),
    })),
  );
}

/** Computes the pseudonym of a Welcome's recipient, which differs between conversations. */
export function welcomeRecipient(privacy: Privacy, groupId: Buffer, did: string): Buffer {
  return privacy.pseudonym('welcome-recipient', [groupId], did);
}

/** Computes the pseudonym of the recipient's device, which differs between conversations. */
export function welcomeDevice(privacy: Privacy, groupId: Buffer, deviceTag: Buffer): Buffer {
  return privacy.pseudonym('welcome-device', [groupId], deviceTag);
}
