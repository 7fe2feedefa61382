import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCursorCodec } from '#domain/events/cursor.ts';
import { readCursorGeneration } from '#domain/events/read-events.ts';
import { required } from '#platform/errors.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { openEventStream as openClientStream } from '#client/stream/event-stream.ts';
import { clientApi } from '../client/client-api.ts';
import { createCraftedConversation, sendCrafted } from '../support/mls/crafted-conversation.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed()));
afterAll(() => bed.stop());

/** A cursor with the same log position, as of a client that has received it `days` ago. */
async function olderCursor(cursor: string | undefined, days: number): Promise<string> {
  const codec = createCursorCodec(
    createPrivacy(parseKeyRing(bed.identityKey)),
    await readCursorGeneration(bed.database),
  );
  const content = required(codec.decode(cursor ?? ''), 'a cursor');
  return codec.encode({ ...content, receivedAtMs: content.receivedAtMs - days * 86_400_000 });
}

test('a stream with a cursor older than the retention of events says so once, and goes on from the cursor', async () => {
  const [alice, bob] = [bed.client(), bed.client()];
  const conversation = await createCraftedConversation(alice, [bob]);
  const stream = await openEventStream(bob);
  await sendCrafted(alice, conversation);
  await stream.next('messageEvent');
  await stream.close();
  await sendCrafted(alice, conversation);

  const late = await openEventStream(bob, { cursor: await olderCursor(stream.cursor, 8) });
  const notice = await late.next('infoEvent');
  expect(notice.code).toBe('eventsExpired');
  await late.next('messageEvent', ({ message }) => message.seq === 2);
  await late.close();
  expect(late.events).toHaveLength(2);

  const again = await openEventStream(bob, { cursor: notice.cursor });
  await again.next('messageEvent', ({ message }) => message.seq === 2);
  expect(again.events, 'the notice comes again').toHaveLength(1);
  await again.close();

  const inTime = await openEventStream(bob, { cursor: await olderCursor(stream.cursor, 6) });
  await inTime.next('messageEvent', ({ message }) => message.seq === 2);
  expect(inTime.events).toHaveLength(1);
  await inTime.close();

  const ofClient = openClientStream(clientApi(bob.account, bed.server()), {
    cursor: await olderCursor(stream.cursor, 8),
  });
  const { value } = await ofClient[Symbol.asyncIterator]().next();
  expect(value).toMatchObject({ code: 'eventsExpired' });
  ofClient.close();
});
