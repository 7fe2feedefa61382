import { AppError, required } from '#platform/errors.ts';
import { runOutsideRequest } from '#platform/request-context.ts';
import type { RequestDeadline } from '#platform/request-context.ts';
import { currentRequest, runForRequests, waitForDatabase } from '#platform/request-deadline.ts';
import type { Sql } from '#storage/connection/database.ts';
import type { TokenMark } from '#storage/rows/replay-entries.ts';
import { storeMessages } from './store-messages.ts';
import type { AppendResult, MessageToAppend, MessageWithToken, StoredMessage, StoreResult } from './store-messages.ts';

/** Stores messages in batches, so that messages that arrive together share one statement and one disk flush. */
export interface MessageAppender {
  /**
   * Stores a message, unless its request's deadline passes before the message is sent to the database.
   * @throws AppError ServiceUnavailable when too many messages wait, or the database does not respond in time.
   */
  append(message: MessageToAppend): Promise<AppendResult>;
  /**
   * Records the use of the sender's token, and stores the message if the token is used for the first time, in one
   * transaction.
   * @throws AppError as `append`.
   */
  appendWithToken(message: MessageToAppend, mark: TokenMark): Promise<StoreResult>;
}

interface Waiting extends MessageWithToken {
  readonly key: string;
  readonly request: RequestDeadline | undefined;
  resolve(result: StoreResult): void;
  reject(error: unknown): void;
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
 * The SQL functions of migrations/0023 and 0024 check and number the messages. `onStored` gets the messages that a
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
        const { results, stored } = await runForRequests(
          batch.map(({ request }) => request),
          () => storeMessages(deps.sql, batch, deps.timeBucketSeconds),
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

  function add(message: MessageToAppend, mark: TokenMark | undefined): Promise<StoreResult> {
    if (waiting.length >= waitingMax || waitingSizeBytes + message.body.length > waitingSizeBytesMax) {
      throw new AppError('ServiceUnavailable', 'Too many messages are waiting. Try again in a moment.', {
        retryAfterSeconds: 1,
      });
    }
    const request = currentRequest();
    const key = `${message.groupId.toString('hex')} ${message.msgId}`;
    const enqueue = (): Promise<StoreResult> =>
      new Promise((resolve, reject) => {
        waiting.push({ message, mark, key, request, resolve, reject });
        waitingSizeBytes += message.body.length;
        if (running < statementsMax) runOutsideRequest(() => void runBatches());
      });
    return waitForDatabase(enqueue);
  }

  return {
    append: async (message) => required((await add(message, undefined)).result, 'a result'),
    appendWithToken: (message, mark) => add(message, mark),
  };
}

/**
 * Takes waiting messages that fit into one statement, all with a mark or all without one. A second message with the same id waits for a later statement,
 * which can see the first message.
 */
function takeBatch(waiting: Waiting[]): Waiting[] {
  const batch: Waiting[] = [];
  const later: Waiting[] = [];
  const keys = new Set<string>();
  let sizeBytes = 0;
  while (waiting.length > 0 && batch.length < batchItemsMax) {
    const next = required(waiting[0], 'a waiting message');
    const [first] = batch;
    if (first !== undefined && (first.mark === undefined) !== (next.mark === undefined)) break;
    if (first !== undefined && sizeBytes + next.message.body.length > batchSizeBytesMax) break;
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
