import { byteaArray } from '#storage/sql/bytea-array.ts';
import type { Sql, Tx } from '#storage/connection/database.ts';

export interface WarningRow {
  readonly groupId: Buffer;
  readonly eventNo: number;
  readonly sealedWarning: Buffer;
}

export async function insertWarning(tx: Tx, row: WarningRow & { readonly expiresAt: Date }): Promise<void> {
  await tx
    .insertInto('warnings')
    .values({
      group_id: row.groupId,
      event_no: row.eventNo,
      sealed_warning: row.sealedWarning,
      expires_at: row.expiresAt,
    })
    .execute();
}

/** Selects the warnings that belong to these events and have not expired. */
export async function selectWarnings(
  sql: Sql,
  events: { readonly groupIds: readonly Buffer[]; readonly eventNos: readonly number[] },
): Promise<WarningRow[]> {
  if (events.groupIds.length === 0) return [];
  return sql<WarningRow[]>`
    SELECT w.group_id AS "groupId", w.event_no AS "eventNo", w.sealed_warning AS "sealedWarning"
    FROM unnest(${byteaArray(events.groupIds)}::bytea[], ${[...events.eventNos]}::bigint[]) AS e(group_id, event_no)
    JOIN warnings w ON w.group_id = e.group_id AND w.event_no = e.event_no
    WHERE w.expires_at > now()`;
}
