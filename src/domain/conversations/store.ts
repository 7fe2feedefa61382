import { sql } from 'kysely';
import type { Db, Tx } from '#storage/connection/database.ts';
import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import type { LockedConversation } from './conversation.ts';

/**
 * Inserts a conversation and its counters.
 * @returns false when the group id is taken; the primary key lets only one of two concurrent inserts succeed.
 */
export async function insertConversation(
  tx: Tx,
  row: { groupId: Buffer; cipherSuite: number; epoch: number; sealedCreator: Buffer; sealedMetadata: Buffer | null },
  bucketSeconds: number,
): Promise<boolean> {
  const inserted = await tx
    .insertInto('conversations')
    .values({
      group_id: row.groupId,
      cipher_suite: row.cipherSuite,
      sealed_creator: row.sealedCreator,
      sealed_metadata: row.sealedMetadata,
      created_at: bucketedNow(bucketSeconds),
    })
    .onConflict((conflict) => conflict.column('group_id').doNothing())
    .returning('group_id')
    .executeTakeFirst();
  if (inserted === undefined) return false;
  await tx.insertInto('conversation_counters').values({ group_id: row.groupId, epoch: row.epoch }).execute();
  return true;
}

/** Locks the row of the conversation's counters until `tx` ends. This row lock is the conversation's lock. */
export async function lockCounters(tx: Tx, groupId: Buffer): Promise<LockedConversation | undefined> {
  const row = await tx
    .selectFrom('conversation_counters')
    .select(['epoch', 'last_seq as lastSeq', 'last_event as lastEvent'])
    .where('group_id', '=', groupId)
    .forNoKeyUpdate()
    .executeTakeFirst();
  return row && { groupId, ...row };
}

export async function selectCipherSuite(db: Db, groupId: Buffer): Promise<number> {
  const row = await db
    .selectFrom('conversations')
    .select('cipher_suite as cipherSuite')
    .where('group_id', '=', groupId)
    .executeTakeFirstOrThrow();
  return row.cipherSuite;
}

interface ConversationRow {
  readonly groupId: Buffer;
  readonly cipherSuite: number;
  readonly sealedCreator: Buffer;
  readonly sealedMetadata: Buffer | null;
  readonly createdAt: Date;
  readonly epoch: number;
}

const conversationColumns = [
  'c.group_id as groupId',
  'c.cipher_suite as cipherSuite',
  'c.sealed_creator as sealedCreator',
  'c.sealed_metadata as sealedMetadata',
  'c.created_at as createdAt',
  'n.epoch',
] as const;

export async function selectConversations(db: Db, groupIds: readonly Buffer[]): Promise<ConversationRow[]> {
  return db
    .selectFrom('conversations as c')
    .innerJoin('conversation_counters as n', 'n.group_id', 'c.group_id')
    .select(conversationColumns)
    .where('c.group_id', 'in', [...groupIds])
    .execute();
}

/** The number of a conversation's newest message or commit, and when it was received; null once it has expired. */
export interface LastMessage {
  readonly lastSeq: number;
  readonly lastReceivedAt: Date | null;
}

/**
 * Selects conversations with their last messages. The counter `last_seq`, which every send updates, leads to the
 * message, so that no row stores the time a second time. ORDER BY and LIMIT make Postgres read the partitions from the
 * newest on, by the primary key, and stop at the message.
 */
export async function selectConversationsWithLastMessage(
  db: Db,
  groupIds: readonly Buffer[],
  ttlDays: number,
): Promise<(ConversationRow & LastMessage)[]> {
  const { rows } = await sql<ConversationRow & LastMessage>`
    SELECT c.group_id AS "groupId", c.cipher_suite AS "cipherSuite", c.sealed_creator AS "sealedCreator",
           c.sealed_metadata AS "sealedMetadata", c.created_at AS "createdAt", n.epoch, n.last_seq AS "lastSeq",
           l.received_at AS "lastReceivedAt"
    FROM conversations c JOIN conversation_counters n ON n.group_id = c.group_id
    LEFT JOIN LATERAL (
      SELECT x.received_at FROM messages x
      WHERE x.group_id = c.group_id AND x.seq = n.last_seq AND x.received_at > now() - make_interval(days => ${ttlDays}::integer)
      ORDER BY x.received_at DESC LIMIT 1
    ) l ON n.last_seq > 0
    WHERE c.group_id = ANY (${byteaArray(groupIds)}::bytea[])`.execute(db);
  return rows;
}

/**
 * Inserts or replaces the conversation's GroupInfo in one statement, so that the digests are compared under the row
 * lock.
 * @returns false when the stored GroupInfo of this epoch has another context digest; rows of an earlier release have no
 *   digest and are replaced.
 */
export async function upsertGroupInfo(
  tx: Tx,
  row: { groupId: Buffer; epoch: number; sealedGroupInfo: Buffer; contextDigest: Buffer },
  bucketSeconds: number,
): Promise<boolean> {
  const values = {
    epoch: row.epoch,
    sealed_group_info: row.sealedGroupInfo,
    context_digest: row.contextDigest,
    updated_at: bucketedNow(bucketSeconds),
  };
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('group_infos')
    .values({ group_id: row.groupId, ...values })
    .onConflict((conflict) =>
      conflict
        .column('group_id')
        .doUpdateSet(values)
        .where((where) =>
          where.or([
            where('group_infos.epoch', '<>', row.epoch),
            where('group_infos.context_digest', 'is', null),
            where('group_infos.context_digest', '=', row.contextDigest),
          ]),
        ),
    )
    .executeTakeFirstOrThrow();
  return numInsertedOrUpdatedRows === 1n;
}

/**
 * Selects the GroupInfo if it is of the current epoch. One statement reads the GroupInfo and the epoch, so that no
 * commit can end the epoch between two reads.
 */
export async function selectGroupInfo(
  db: Db,
  groupId: Buffer,
): Promise<{ epoch: number; sealedGroupInfo: Buffer; updatedAt: Date } | undefined> {
  return db
    .selectFrom('group_infos as g')
    .innerJoin('conversation_counters as n', (join) =>
      join.onRef('n.group_id', '=', 'g.group_id').onRef('n.epoch', '=', 'g.epoch'),
    )
    .select(['g.epoch', 'g.sealed_group_info as sealedGroupInfo', 'g.updated_at as updatedAt'])
    .where('g.group_id', '=', groupId)
    .executeTakeFirst();
}

/** Selects the stored GroupInfo of any epoch. */
export async function selectLastGroupInfo(
  db: Db,
  groupId: Buffer,
): Promise<{ epoch: number; sealedGroupInfo: Buffer } | undefined> {
  return db
    .selectFrom('group_infos')
    .select(['epoch', 'sealed_group_info as sealedGroupInfo'])
    .where('group_id', '=', groupId)
    .executeTakeFirst();
}
