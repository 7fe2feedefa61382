import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { EventKind } from './event.ts';
import { advanceCounters, insertEvents } from './store.ts';

/** An event to write: of a stored message, or about a person. */
export interface EventToRecord {
  readonly kind: EventKind;
  readonly seq?: number;
  readonly did?: string;
}

/**
 * Moves the conversation's counters and writes its events at one position; `tx` holds the conversation's lock. Events are
 * numbered from `firstEvent` on.
 */
export async function recordEvents(
  deps: { privacy: Privacy; timeBucketSeconds: number },
  tx: Tx,
  group: { groupId: Buffer; epoch: number; lastSeq: number; firstEvent: number },
  events: readonly EventToRecord[],
): Promise<void> {
  const { groupId, epoch, lastSeq } = group;
  const position = await advanceCounters(tx, groupId, {
    epoch,
    lastSeq,
    lastEvent: group.firstEvent + events.length - 1,
  });
  await insertEvents(
    tx,
    { groupId, position, bucketSeconds: deps.timeBucketSeconds },
    events.map((event, index) => {
      const eventNo = group.firstEvent + index;
      return {
        eventNo,
        kind: event.kind,
        seq: event.seq ?? null,
        epoch: event.did === undefined ? null : epoch,
        sealedDid: event.did === undefined ? null : deps.privacy.sealText('event-did', [groupId, eventNo], event.did),
      };
    }),
  );
}
