import { decodeAll } from '@atproto/lex-cbor';
import { createCursorCodec } from '#domain/events/cursor.ts';
import type { LogPosition } from '#domain/events/event.ts';
import { readCursorGeneration, readLogEnd } from '#domain/events/read-events.ts';
import { createMessageAppender } from '#domain/messages/message-appender.ts';
import { required } from '#platform/errors.ts';
import { Hub } from '#stream/hub.ts';
import type { Subscription } from '#stream/hub.ts';
import { startTail } from '#stream/tail/tail.ts';
import type { Tail } from '#stream/tail/tail.ts';
import type { DomainHarness, TestServer } from '../support/domain-harness.ts';

/** An event that a listener received. */
export interface ReceivedEvent extends LogPosition {
  /** The bytes of a message; undefined for other events. */
  readonly body: Uint8Array | undefined;
}

/** A listener of a tail, without a connection. */
export interface TestListener {
  readonly did: string;
  readonly received: readonly ReceivedEvent[];
  readonly attachedAt: LogPosition;
  readonly subscription: Subscription;
  close(): void;
}

/** The appender, the hub and the tail of one server, with a pool of their own. */
export interface LiveReader {
  /** Its appender passes what it stores to the tail, and its other writes wake the tail, as those of the app do. */
  readonly server: TestServer;
  readonly hub: Hub;
  readonly tail: Tail;
  readonly errors: readonly unknown[];
  listen(did: string, groupIds: readonly Buffer[]): Promise<TestListener>;
  stop(): Promise<void>;
}

/** Starts a reader. `onWrite` is called after each write, in place of a notification to other servers. */
export async function startLiveReader(
  harness: DomainHarness,
  options: { readonly poolSize: number; readonly onWrite?: () => void },
): Promise<LiveReader> {
  const { poolSize, onWrite = (): void => undefined } = options;
  const base = harness.addServer(poolSize);
  const hub = new Hub();
  const codec = createCursorCodec(base.privacy, await readCursorGeneration(base));
  const errors: unknown[] = [];
  const database = { sql: base.sql, db: base.db, close: async () => undefined };
  const { privacy, clock, sql, timeBucketSeconds } = base;
  const tail = startTail({ database, privacy, clock, hub, codec, onError: (error) => errors.push(error) });
  const appender = createMessageAppender({
    sql: harness.server.sql,
    timeBucketSeconds,
    onStored(messages) {
      tail.noteStored(messages);
      onWrite();
    },
  });
  const onEvents = (): void => {
    tail.wake();
    onWrite();
  };
  return {
    server: { ...base, appender, onEvents },
    hub,
    tail,
    errors,
    async listen(did, groupIds) {
      const received: ReceivedEvent[] = [];
      const subscription = hub.register(
        {
          did,
          onlyConversationId: undefined,
          deliver(frame) {
            const cursor = required(codec.decode(frame.cursor), 'a cursor of this database');
            const [, fields] = [...decodeAll(frame.cbor())] as [unknown, { message?: { ciphertext: Uint8Array } }];
            received.push({ ...cursor, body: fields.message?.ciphertext });
          },
        },
        await readLogEnd({ sql }),
      );
      for (const groupId of groupIds) subscription.conversationIds.add(groupId.toString('hex'));
      const attachedAt = await tail.attach(subscription);
      subscription.buffered = undefined;
      return { did, received, attachedAt, subscription, close: () => hub.remove(subscription) };
    },
    stop: () => tail.stop(),
  };
}
