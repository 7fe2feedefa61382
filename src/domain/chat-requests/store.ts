import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { chatRequestStates, senderWindowDays } from './chat-request.ts';
import type { ChatRequestState, ChatRequestStatus } from './chat-request.ts';

/** Prevents other transactions from sending or blocking requests between these two people until `tx` ends. */
export async function lockPair(tx: Tx, pair: Buffer): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(${pair.readBigInt64BE().toString()}::bigint)`.execute(tx);
}

/** Returns whether the pair has a request from the last `senderWindowDays` days. */
export async function hasRecentRequest(tx: Tx, pair: Buffer): Promise<boolean> {
  const row = await tx
    .selectFrom('chat_requests')
    .select('request_id')
    .where('pair', '=', pair)
    .where('created_at', '>', sql<Date>`now() - make_interval(days => ${senderWindowDays}::integer)`)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Deletes the unanswered requests of the pair, because a new request replaces them. */
export async function deleteUnanswered(tx: Tx, pair: Buffer): Promise<void> {
  await tx
    .deleteFrom('chat_requests')
    .where('pair', '=', pair)
    .where('state', 'in', [chatRequestStates.pending, chatRequestStates.hidden])
    .execute();
}

export async function isSenderBlocked(tx: Tx, blockPair: Buffer): Promise<boolean> {
  const row = await tx.selectFrom('chat_sender_blocks').select('pair').where('pair', '=', blockPair).executeTakeFirst();
  return row !== undefined;
}

export async function insertSenderBlock(
  tx: Tx,
  row: { pair: Buffer; keyId: number; sealedPeople: Buffer },
): Promise<void> {
  await tx
    .insertInto('chat_sender_blocks')
    .values({ pair: row.pair, key_id: row.keyId, sealed_people: row.sealedPeople })
    .onConflict((conflict) => conflict.column('pair').doNothing())
    .execute();
}

export interface NewChatRequest {
  /** The id of the row (`storedRequestId`). All request ids in this file are ids of rows. */
  readonly requestId: string;
  readonly recipient: Buffer;
  readonly pair: Buffer;
  readonly keyId: number;
  readonly state: ChatRequestState;
  readonly sealedRequest: Buffer;
  readonly expireDays: number;
  /** How many days the row is stored after its expiry, so that the recipient can see the outcome. */
  readonly keptDays: number;
  /** Sealed held messages in the order in which they were sent. */
  readonly sealedMessages: readonly Buffer[];
}

/** Inserts a request and its held messages. @returns the creation time, rounded down to the time bucket. */
export async function insertRequest(tx: Tx, row: NewChatRequest, bucketSeconds: number): Promise<Date> {
  const now = bucketedNow(bucketSeconds);
  const { createdAt } = await tx
    .insertInto('chat_requests')
    .values({
      request_id: row.requestId,
      recipient: row.recipient,
      pair: row.pair,
      key_id: row.keyId,
      state: row.state,
      sealed_request: row.sealedRequest,
      message_count: row.sealedMessages.length,
      created_at: now,
      expires_at: inDays(now, row.expireDays),
      kept_until: inDays(now, row.expireDays + row.keptDays),
    })
    .returning('created_at as createdAt')
    .executeTakeFirstOrThrow();
  for (const [index, sealedMessage] of row.sealedMessages.entries()) {
    await tx
      .insertInto('chat_request_messages')
      .values({ request_id: row.requestId, sequence: index + 1, sealed_message: sealedMessage })
      .execute();
  }
  return createdAt;
}

function inDays(from: RawBuilder<Date>, days: number): RawBuilder<Date> {
  return sql<Date>`${from} + make_interval(days => ${days}::integer)`;
}

export interface ChatRequestRow {
  readonly requestId: string;
  readonly status: ChatRequestStatus;
  readonly sealedRequest: Buffer;
  readonly messageCount: number;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly decidedAt: Date | null;
}

const status = sql<ChatRequestStatus>`CASE state WHEN 2 THEN 'accepted' WHEN 3 THEN 'declined' WHEN 4 THEN 'blocked'
  ELSE CASE WHEN expires_at > now() THEN 'pending' ELSE 'expired' END END`;

const rowColumns = [
  'request_id as requestId',
  status.as('status'),
  'sealed_request as sealedRequest',
  'message_count as messageCount',
  'created_at as createdAt',
  'expires_at as expiresAt',
  'answered_at as decidedAt',
] as const;

const storedStates = {
  pending: chatRequestStates.pending,
  expired: chatRequestStates.pending,
  accepted: chatRequestStates.accepted,
  declined: chatRequestStates.declined,
  blocked: chatRequestStates.blocked,
} as const satisfies Record<ChatRequestStatus, ChatRequestState>;

export interface PagePosition {
  readonly createdAt: Date;
  readonly requestId: string;
}

/** Selects a recipient's requests with one status after the position `after`, newest first. */
export async function selectPage(
  db: Db,
  recipient: Buffer,
  page: { status: ChatRequestStatus; after: PagePosition | undefined; limit: number },
): Promise<ChatRequestRow[]> {
  const { after } = page;
  return db
    .selectFrom('chat_requests')
    .select(rowColumns)
    .where('recipient', '=', recipient)
    .where('state', '=', storedStates[page.status])
    .where(status, '=', page.status)
    .where('kept_until', '>', sql<Date>`now()`)
    .$if(after !== undefined, (query) =>
      query.where(
        sql<boolean>`(created_at, request_id) < (${after?.createdAt}::timestamptz, ${after?.requestId}::uuid)`,
      ),
    )
    .orderBy('created_at', 'desc')
    .orderBy('request_id', 'desc')
    .limit(page.limit)
    .execute();
}

export async function countPending(
  db: Db,
  recipient: Buffer,
): Promise<{ count: number; lastCreatedAt: Date | undefined }> {
  const row = await db
    .selectFrom('chat_requests')
    .select((eb) => [eb.fn.countAll<number>().as('count'), eb.fn.max<Date | null>('created_at').as('lastCreatedAt')])
    .where('recipient', '=', recipient)
    .where('state', '=', chatRequestStates.pending)
    .where('expires_at', '>', sql<Date>`now()`)
    .executeTakeFirstOrThrow();
  return { count: Number(row.count), lastCreatedAt: row.lastCreatedAt ?? undefined };
}

/** Selects a request by its id, if it was sent to this recipient and is not hidden. */
export async function selectRequest(db: Db, recipient: Buffer, requestId: string): Promise<ChatRequestRow | undefined> {
  return db
    .selectFrom('chat_requests')
    .select(rowColumns)
    .where('request_id', '=', requestId)
    .where('recipient', '=', recipient)
    .where('state', '!=', chatRequestStates.hidden)
    .where('kept_until', '>', sql<Date>`now()`)
    .executeTakeFirst();
}

/** Locks a request until `tx` ends, and returns it like `selectRequest`. */
export async function lockRequest(tx: Tx, recipient: Buffer, requestId: string): Promise<ChatRequestRow | undefined> {
  await tx
    .selectFrom('chat_requests')
    .select('request_id')
    .where('request_id', '=', requestId)
    .where('recipient', '=', recipient)
    .forNoKeyUpdate()
    .execute();
  return selectRequest(tx, recipient, requestId);
}

/**
 * Records the recipient's decision about a request.
 * @returns the time of the decision, rounded down to the time bucket.
 */
export async function recordDecision(
  tx: Tx,
  requestId: string,
  decision: { state: ChatRequestState; bucketSeconds: number },
): Promise<Date> {
  const row = await tx
    .updateTable('chat_requests')
    .set({ state: decision.state, answered_at: bucketedNow(decision.bucketSeconds) })
    .where('request_id', '=', requestId)
    .returning('answered_at as decidedAt')
    .executeTakeFirstOrThrow();
  return row.decidedAt ?? new Date(0);
}

/**
 * Marks every pending request of a pair as blocked and deletes its messages.
 * @returns how many requests were blocked.
 */
export async function blockPending(tx: Tx, pair: Buffer, bucketSeconds: number): Promise<number> {
  const rows = await tx
    .updateTable('chat_requests')
    .set({ state: chatRequestStates.blocked, answered_at: bucketedNow(bucketSeconds) })
    .where('pair', '=', pair)
    .where('state', '=', chatRequestStates.pending)
    .where('expires_at', '>', sql<Date>`now()`)
    .returning('request_id')
    .execute();
  for (const row of rows) await deleteMessages(tx, row.request_id);
  return rows.length;
}

export async function deleteMessages(tx: Tx, requestId: string): Promise<void> {
  await tx.deleteFrom('chat_request_messages').where('request_id', '=', requestId).execute();
}

export async function selectMessages(
  db: Db,
  requestId: string,
): Promise<{ sequence: number; sealedMessage: Buffer }[]> {
  return db
    .selectFrom('chat_request_messages')
    .select(['sequence', 'sealed_message as sealedMessage'])
    .where('request_id', '=', requestId)
    .orderBy('sequence')
    .execute();
}
