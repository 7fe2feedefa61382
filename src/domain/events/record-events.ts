import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { EventKind } from './event.ts';
import { advanceCounters, insertEvents } from './store.ts';

/** An event to write. An event of a message has `seq`, and an event about a person has `did`. */
export interface EventToRecord {
  readonly kind: EventKind;
  readonly seq?: number;
  readonly did?: string;
}

/**
 * Updates the conversation's counters and writes events at one log position, numbered from `firstEvent`. `tx` must hold
 * the conversation's lock.
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
