import { readAdditionsOfDevice, readMissedAdditions } from '#domain/device-additions/read-pending-additions.ts';
import type { CursorCodec, EventCursor } from '#domain/events/cursor.ts';
import { entitlementKey, isActive, readEntitlements } from '#domain/membership/members/read-entitlements.ts';
import type { Clock } from '#platform/clock.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Database } from '#storage/connection/database.ts';
import { infoFrame, newDeviceFrame } from './frames.ts';
import type { Hub, Subscriber, Subscription } from './hub.ts';

interface NewDeviceDeps {
  readonly database: Database;
  readonly privacy: Privacy;
  readonly clock: Clock;
  readonly hub: Hub;
  readonly codec: CursorCodec;
  readonly deviceWaitDays: number;
}

/** Notifies the listeners of the owner's conversations on this server that the device waits to be added. */
export async function announceDevice(deps: NewDeviceDeps, deviceId: string): Promise<void> {
  const source = { ...deps, db: deps.database.db };
  const additions = await readAdditionsOfDevice(source, deviceId, (id) =>
    deps.hub.hasListeners(Buffer.from(id, 'hex')),
  );
  const groupIds = additions.map(({ groupId }) => groupId);
  const entitlements = await readEntitlements(source, deps.hub.listenersOf(groupIds));
  const cursor = deps.codec.encode({ ...deps.hub.position, receivedAtMs: deps.clock.nowMs() });
  for (const addition of additions) {
    const frame = newDeviceFrame(cursor, addition);
    deps.hub.deliverNow(addition.groupId, frame, (did) => {
      const membership = entitlements.get(entitlementKey(addition.groupId, did));
      return membership !== undefined && isActive(membership);
    });
  }
}

/**
 * Delivers the new devices since `cursor` to a subscriber that resumes, because device events are not in the log. Must
 * be called after `attach`, so that no later device is missed. A device may be delivered twice.
 */
export async function deliverMissedDevices(
  deps: NewDeviceDeps & { timeBucketSeconds: number },
  subscription: Subscription,
  subscriber: Subscriber,
  cursor: EventCursor,
): Promise<void> {
  const source = { ...deps, db: deps.database.db };
  const { conversationIds } = subscription;
  const { additions, isComplete } = await readMissedAdditions(source, conversationIds, cursor.receivedAtMs);
  const here = deps.codec.encode(cursor);
  for (const addition of additions) subscriber.deliver(newDeviceFrame(here, addition));
  if (!isComplete) {
    subscriber.deliver(infoFrame(here, 'There may be more new devices. Call getPendingDeviceAdditions.'));
  }
}
