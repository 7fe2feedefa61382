import type { ClientRecord, StreamRecord } from '../record.ts';
import type { Finding } from '../rules.ts';

/** The end of the earlier connection may reach the check a little later than the beginning of the next one. */
const overlapMsMax = 1_000;
const refusedMax = 8;
const refusedWindowMs = 3_000;

/** Checks how the client opens streams. */
export function checkStreams(record: ClientRecord, nowMs: number): Finding[] {
  const { streams } = record;
  return streams.flatMap((stream, index) => {
    const earlier = streams.slice(0, index);
    const name = `Connection ${index + 1}`;
    return [
      ...ticketOnce(stream, earlier, name),
      ...cursor(record, stream, name),
      ...oneAtATime(stream, earlier, { name, nowMs }),
      ...backOff(stream, earlier, name),
    ];
  });
}

function ticketOnce({ ticket }: StreamRecord, earlier: readonly StreamRecord[], name: string): Finding[] {
  const isUsed = ticket !== undefined && earlier.some((each) => each.ticket === ticket);
  return isUsed ? [{ rule: 'ticket-once', seen: `${name} has the ticket of an earlier connection.` }] : [];
}

function cursor({ deliveries, answered }: ClientRecord, stream: StreamRecord, name: string): Finding[] {
  const before = deliveries.slice(0, stream.deliveriesBefore);
  if (before.length === 0) return [];
  if (stream.cursor === undefined) return [{ rule: 'stream-cursor', seen: `${name} has no cursor.` }];
  const position = before.findIndex((each) => each.cursor === stream.cursor);
  if (position < 0) return [{ rule: 'stream-cursor', seen: `${name} has a cursor that this client was not sent.` }];
  const wanted = answered
    .filter(({ atMs }) => atMs < stream.startedMs)
    .map(({ convoId, seq, atMs }) => {
      const found = before.find(
        ({ event, atMs: sentMs }) =>
          sentMs < atMs && 'message' in event && event.message.convoId === convoId && event.message.seq === seq,
      );
      return found === undefined ? -1 : before.findIndex((each) => each.cursor === found.cursor);
    });
  if (position >= Math.max(-1, ...wanted)) return [];
  return [{ rule: 'stream-cursor', seen: `${name} has a cursor before an event that the client has answered.` }];
}

function oneAtATime(
  stream: StreamRecord,
  earlier: readonly StreamRecord[],
  { name, nowMs }: { readonly name: string; readonly nowMs: number },
): Finding[] {
  const endMs = stream.endedMs ?? nowMs;
  const overlaps = earlier.some(
    (each) => Math.min(endMs, each.endedMs ?? nowMs) - Math.max(stream.startedMs, each.startedMs) > overlapMsMax,
  );
  return overlaps ? [{ rule: 'one-stream', seen: `${name} was open at the same time as an earlier one.` }] : [];
}

function backOff(stream: StreamRecord, earlier: readonly StreamRecord[], name: string): Finding[] {
  const refused = earlier.filter((each) => each.isRefused && each.startedMs > stream.startedMs - refusedWindowMs);
  if (refused.length !== refusedMax) return [];
  return [{ rule: 'stream-back-off', seen: `${name} follows ${refused.length} refused ones within three seconds.` }];
}
