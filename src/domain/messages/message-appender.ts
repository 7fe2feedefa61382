import { AppError, required } from '#platform/errors.ts';
import { currentRequest, runForRequests, runOutsideRequest, waitForDatabase } from '#platform/request-deadline.ts';
import type { RequestDeadline } from '#platform/request-deadline.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import type { Sql } from '#storage/connection/database.ts';

export interface MessageToAppend {
  readonly groupId: Buffer;
  /** The sender's pseudonym in this conversation, which is checked and not stored. */
  readonly member: Buffer;
  readonly epoch: number;
  readonly msgId: string;
  readonly body: Buffer;
}

/**
 * The result of storing one message. `epoch` is the conversation's current epoch, or for a duplicate the epoch of the
 * stored message.
 */
export type AppendResult =
  | {
      readonly outcome: 'stored' | 'duplicate';
      readonly seq: number;
      readonly epoch: number;
      readonly receivedAt: Date;
    }
  | { readonly outcome: 'stale'; readonly epoch: number }
  | { readonly outcome: 'nonMember' | 'inactiveMember' };

/** A message that was stored, with its position in the event log. */
export interface StoredMessage {
  readonly groupId: Buffer;
  readonly seq: number;
  readonly epoch: number;
  readonly msgId: string;
  /** The position of the message's event in the log of all conversations, which all messages of a batch share. */
  readonly position: number;
  /** The number of the message's event in its conversation. */
  readonly eventNo: number;
  /** Rounded down to the time bucket. */
  readonly receivedAt: Date;
  readonly body: Buffer;
}

/** Stores messages in batches, so that messages that arrive together share one statement and one disk flush. */
export interface MessageAppender {
  /**
   * Stores a message, unless its request's deadline passes before the message is sent to the database.
   * @throws AppError ServiceUnavailable when too many messages wait, or the database does not respond in time.
   */
  append(message: MessageToAppend): Promise<AppendResult>;
}

interface Waiting {
  readonly message: MessageToAppend;
  readonly key: string;
  readonly request: RequestDeadline | undefined;
  resolve(result: AppendResult): void;
  reject(error: unknown): void;
}

/** Results of the SQL functions for senders without an active membership. */
const refusals = { stranger: 'nonMember', former: 'inactiveMember' } as const;

interface ResultRow {
  readonly item: number;
  readonly outcome: 'stored' | 'duplicate' | 'stale' | keyof typeof refusals;
  readonly seq: number | null;
  readonly epoch: number;
  readonly receivedAt: Date | null;
  readonly position: number | null;
  readonly eventNo: number | null;
}

const batchItemsMax = 128;
const batchSizeBytesMax = 1_048_576;
const waitingMax = 4_096;
const waitingSizeBytesMax = 67_108_864;
/**
 * The maximum number of concurrent statements. With two, one statement computes while the commit of the other waits for
 * the disk.
 */
const statementsMax = 2;

/**
 * Creates an appender with group commit, which puts messages that arrive while statements run into the next statement.
 * The SQL functions of migrations/0023 check and number the messages. `onStored` gets the messages that a
 * statement stored, without duplicates, after they are committed.
 */
export function createMessageAppender(deps: {
  sql: Sql;
  timeBucketSeconds: number;
  onStored: (messages: readonly StoredMessage[]) => void;
  onBatch?: (items: number) => void;
}): MessageAppender {
  const waiting: Waiting[] = [];
  let waitingSizeBytes = 0;
  let running = 0;

  async function runBatches(): Promise<void> {
    running += 1;
    while (waiting.length > 0) {
      const dequeued = takeBatch(waiting);
      waitingSizeBytes -= sizeOf(dequeued);
      const batch = dequeued.filter(({ request }) => request?.isExpired !== true);
      if (batch.length === 0) continue;
      try {
        const messages = batch.map(({ message }) => message);
        const { results, stored } = await runForRequests(
          batch.map(({ request }) => request),
          () => appendBatch(deps.sql, messages, deps.timeBucketSeconds),
        );
        if (stored.length > 0) deps.onStored(stored);
        batch.forEach((item, index) => item.resolve(required(results[index], 'a result')));
        deps.onBatch?.(batch.length);
      } catch (error) {
        batch.forEach((item) => item.reject(error));
      }
    }
    running -= 1;
  }

  return {
    append(message) {
      if (waiting.length >= waitingMax || waitingSizeBytes + message.body.length > waitingSizeBytesMax) {
        throw new AppError('ServiceUnavailable', 'Too many messages are waiting. Try again in a moment.', {
          retryAfterSeconds: 1,
        });
      }
      const request = currentRequest();
      const key = `${message.groupId.toString('hex')} ${message.msgId}`;
      const enqueue = (): Promise<AppendResult> =>
        new Promise((resolve, reject) => {
          waiting.push({ message, key, request, resolve, reject });
          waitingSizeBytes += message.body.length;
          if (running < statementsMax) runOutsideRequest(() => void runBatches());
        });
      return waitForDatabase(enqueue);
    },
  };
}

/**
 * Takes waiting messages that fit into one statement. A second message with the same id waits for a later statement,
 * which can see the first message.
 */
function takeBatch(waiting: Waiting[]): Waiting[] {
  const batch: Waiting[] = [];
  const later: Waiting[] = [];
  const keys = new Set<string>();
  let sizeBytes = 0;
  while (waiting.length > 0 && batch.length < batchItemsMax) {
    const next = required(waiting[0], 'a waiting message');
    if (batch.length > 0 && sizeBytes + next.message.body.length > batchSizeBytesMax) break;
    waiting.shift();
    if (keys.has(next.key)) {
      later.push(next);
      continue;
    }
    keys.add(next.key);
    batch.push(next);
    sizeBytes += next.message.body.length;
  }
  waiting.unshift(...later);
  return batch;
}

function sizeOf(batch: readonly Waiting[]): number {
  return batch.reduce((sum, { message }) => sum + message.body.length, 0);
}

async function appendBatch(
  sql: Sql,
  messages: readonly MessageToAppend[],
  bucketSeconds: number,
): Promise<{ results: AppendResult[]; stored: StoredMessage[] }> {
  const [first] = messages;
  const rows =
    first !== undefined && messages.length === 1
      ? await storeOne(sql, first, bucketSeconds)
      : await storeMany(sql, messages, bucketSeconds);
  const results: AppendResult[] = [];
  const stored: StoredMessage[] = [];
  for (const row of rows) {
    results[row.item - 1] = resultOf(row);
    if (row.outcome === 'stored') stored.push(storedMessage(required(messages[row.item - 1], 'a message'), row));
  }
  return { results, stored };
}

function storeOne(sql: Sql, message: MessageToAppend, bucketSeconds: number): Promise<readonly ResultRow[]> {
  const { groupId, member, epoch, msgId, body } = message;
  return sql<ResultRow[]>`
    SELECT 1 AS item, outcome, seq, epoch, received_at AS "receivedAt", position, event_no AS "eventNo"
    FROM store_message(${groupId}::bytea, ${member}::bytea, ${epoch}::bigint, ${msgId}::text, ${body}::bytea,
                       ${bucketSeconds}::integer)`;
}

function storeMany(
  sql: Sql,
  messages: readonly MessageToAppend[],
  bucketSeconds: number,
): Promise<readonly ResultRow[]> {
  return sql<ResultRow[]>`
    SELECT item, outcome, seq, epoch, received_at AS "receivedAt", position, event_no AS "eventNo"
    FROM store_messages(
      ${byteaArray(messages.map(({ groupId }) => groupId))}::bytea[], ${byteaArray(messages.map(({ member }) => member))}::bytea[],
      ${messages.map(({ epoch }) => epoch)}::bigint[], ${messages.map(({ msgId }) => msgId)}::text[],
      ${byteaArray(messages.map(({ body }) => body))}::bytea[], ${bucketSeconds}::integer)`;
}

function resultOf({ outcome, seq, epoch, receivedAt }: ResultRow): AppendResult {
  switch (outcome) {
    case 'stored':
    case 'duplicate':
      return { outcome, seq: required(seq, 'seq'), epoch, receivedAt: required(receivedAt, 'receivedAt') };
    case 'stale':
      return { outcome, epoch };
    case 'stranger':
    case 'former':
      return { outcome: refusals[outcome] };
  }
}

function storedMessage({ groupId, msgId, body }: MessageToAppend, row: ResultRow): StoredMessage {
  return {
    groupId,
    msgId,
    body,
    epoch: row.epoch,
    receivedAt: required(row.receivedAt, 'receivedAt'),
    seq: required(row.seq, 'seq'),
    position: required(row.position, 'position'),
    eventNo: required(row.eventNo, 'eventNo'),
  };
}
