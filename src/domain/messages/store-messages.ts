import { required } from '#platform/errors.ts';
import type { Sql } from '#storage/connection/database.ts';
import type { TokenMark, TokenResult } from '#storage/rows/replay-entries.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';

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

/** A message to store, with the use of its sender's token if the same transaction is to record it. */
export interface MessageWithToken {
  readonly message: MessageToAppend;
  readonly mark: TokenMark | undefined;
}

/** The result for one message. `result` is undefined if the token is not used for the first time. */
export interface StoreResult {
  readonly token: TokenResult;
  readonly result: AppendResult | undefined;
}

/** Results of the SQL functions for senders without an active membership. */
const refusals = { stranger: 'nonMember', former: 'inactiveMember' } as const;

interface ResultRow {
  readonly item: number;
  readonly token: TokenResult;
  /** Null if the token is not used for the first time; then all columns that follow are null. */
  readonly outcome: 'stored' | 'duplicate' | 'stale' | keyof typeof refusals | null;
  readonly seq: number | null;
  readonly epoch: number | null;
  readonly receivedAt: Date | null;
  readonly position: number | null;
  readonly eventNo: number | null;
}

/**
 * Stores messages with one statement (migrations/0023 and 0024).
 * @param items must all have a mark, or none of them.
 */
export async function storeMessages(
  sql: Sql,
  items: readonly MessageWithToken[],
  bucketSeconds: number,
): Promise<{ results: StoreResult[]; stored: StoredMessage[] }> {
  const results: StoreResult[] = [];
  const stored: StoredMessage[] = [];
  for (const row of await runStatement(sql, items, bucketSeconds)) {
    const { message } = required(items[row.item - 1], 'a message');
    results[row.item - 1] = { token: row.token, result: resultOf(row) };
    if (row.outcome === 'stored') stored.push(storedMessage(message, row));
  }
  return { results, stored };
}

/** A single message has statements of its own, because those for arrays cost more (docs/decisions/0026). */
function runStatement(
  sql: Sql,
  items: readonly MessageWithToken[],
  bucketSeconds: number,
): Promise<readonly ResultRow[]> {
  const [first] = items;
  const messages = items.map(({ message }) => message);
  const marks = items.flatMap(({ mark }) => mark ?? []);
  if (first === undefined || messages.length > 1) {
    return marks.length === 0
      ? storeMany(sql, messages, bucketSeconds)
      : storeManyWithTokens(sql, { messages, marks }, bucketSeconds);
  }
  const { message, mark } = first;
  return mark === undefined
    ? storeOne(sql, message, bucketSeconds)
    : storeOneWithToken(sql, { message, mark }, bucketSeconds);
}

function storeOne(sql: Sql, message: MessageToAppend, bucketSeconds: number): Promise<readonly ResultRow[]> {
  const { groupId, member, epoch, msgId, body } = message;
  return sql<ResultRow[]>`
    SELECT 1 AS item, 'first' AS token, outcome, seq, epoch, received_at AS "receivedAt", position, event_no AS "eventNo"
    FROM store_message(${groupId}::bytea, ${member}::bytea, ${epoch}::bigint, ${msgId}::text, ${body}::bytea,
                       ${bucketSeconds}::integer)`;
}

function storeOneWithToken(
  sql: Sql,
  { message, mark }: { readonly message: MessageToAppend; readonly mark: TokenMark },
  bucketSeconds: number,
): Promise<readonly ResultRow[]> {
  const { groupId, member, epoch, msgId, body } = message;
  const { digest, expiresAtSeconds, account, issuedAtSeconds } = mark;
  return sql<ResultRow[]>`
    SELECT 1 AS item, token, outcome, seq, epoch, received_at AS "receivedAt", position, event_no AS "eventNo"
    FROM store_message_with_token(
      ${digest}::bytea, ${expiresAtSeconds}::float8, ${account}::bytea, ${issuedAtSeconds}::float8,
      ${groupId}::bytea, ${member}::bytea, ${epoch}::bigint, ${msgId}::text, ${body}::bytea, ${bucketSeconds}::integer)`;
}

function storeMany(
  sql: Sql,
  messages: readonly MessageToAppend[],
  bucketSeconds: number,
): Promise<readonly ResultRow[]> {
  return sql<ResultRow[]>`
    SELECT item, 'first' AS token, outcome, seq, epoch, received_at AS "receivedAt", position, event_no AS "eventNo"
    FROM store_messages(
      ${byteaArray(messages.map(({ groupId }) => groupId))}::bytea[], ${byteaArray(messages.map(({ member }) => member))}::bytea[],
      ${messages.map(({ epoch }) => epoch)}::bigint[], ${messages.map(({ msgId }) => msgId)}::text[],
      ${byteaArray(messages.map(({ body }) => body))}::bytea[], ${bucketSeconds}::integer)`;
}

function storeManyWithTokens(
  sql: Sql,
  { messages, marks }: { readonly messages: readonly MessageToAppend[]; readonly marks: readonly TokenMark[] },
  bucketSeconds: number,
): Promise<readonly ResultRow[]> {
  return sql<ResultRow[]>`
    SELECT item, token, outcome, seq, epoch, received_at AS "receivedAt", position, event_no AS "eventNo"
    FROM store_messages_with_tokens(
      ${byteaArray(marks.map(({ digest }) => digest))}::bytea[], ${marks.map(({ expiresAtSeconds }) => expiresAtSeconds)}::float8[],
      ${byteaArray(marks.map(({ account }) => account))}::bytea[], ${marks.map(({ issuedAtSeconds }) => issuedAtSeconds)}::float8[],
      ${byteaArray(messages.map(({ groupId }) => groupId))}::bytea[], ${byteaArray(messages.map(({ member }) => member))}::bytea[],
      ${messages.map(({ epoch }) => epoch)}::bigint[], ${messages.map(({ msgId }) => msgId)}::text[],
      ${byteaArray(messages.map(({ body }) => body))}::bytea[], ${bucketSeconds}::integer)`;
}

function resultOf({ outcome, seq, epoch, receivedAt }: ResultRow): AppendResult | undefined {
  switch (outcome) {
    case null:
      return undefined;
    case 'stored':
    case 'duplicate':
      return {
        outcome,
        seq: required(seq, 'seq'),
        epoch: required(epoch, 'epoch'),
        receivedAt: required(receivedAt, 'receivedAt'),
      };
    case 'stale':
      return { outcome, epoch: required(epoch, 'epoch') };
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
    epoch: required(row.epoch, 'epoch'),
    receivedAt: required(row.receivedAt, 'receivedAt'),
    seq: required(row.seq, 'seq'),
    position: required(row.position, 'position'),
    eventNo: required(row.eventNo, 'eventNo'),
  };
}
