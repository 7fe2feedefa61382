import { sql } from 'kysely';
import type { Db, Sql } from '../connection/database.ts';
import type { ExpiringRows } from '../expiry/expiring-rows.ts';

/** How many times an event occurred. `kind` and `subject` are from the closed lists in `src/ops/audit-subjects.ts`. */
export interface AuditCount {
  readonly kind: string;
  readonly subject: string;
  readonly count: number;
}

/** The count of an event in the time bucket that begins at `bucket`. */
export interface AuditEvent extends AuditCount {
  readonly bucket: Date;
}

const readMax = 100_000;

/**
 * Adds to the counts of the present time bucket in one statement. No two entries of `counts` may have the same kind and
 * subject.
 */
export async function addAuditCounts(db: Sql, counts: readonly AuditCount[], bucketSeconds: number): Promise<void> {
  if (counts.length === 0) return;
  // The order prevents a deadlock of servers that add to the same rows.
  const sorted = counts.toSorted((a, b) => compareWords(a, b));
  await db`
    INSERT INTO audit_events (bucket, kind, subject, count)
    SELECT to_timestamp(floor(extract(epoch FROM now()) / ${bucketSeconds}::integer) * ${bucketSeconds}::integer), event.*
    FROM unnest(${sorted.map(({ kind }) => kind)}::text[], ${sorted.map(({ subject }) => subject)}::text[],
      ${sorted.map(({ count }) => count)}::bigint[]) AS event (kind, subject, count)
    ON CONFLICT (bucket, kind, subject) DO UPDATE SET count = audit_events.count + excluded.count`;
}

function compareWords(a: AuditCount, b: AuditCount): number {
  const [left, right] = [`${a.kind} ${a.subject}`, `${b.kind} ${b.subject}`];
  return left < right ? -1 : Number(left > right);
}

/** Reads the counts of the last `sinceSeconds` seconds, oldest first. Reads only the newest 100,000 rows. */
export async function readAuditEvents(db: Db, sinceSeconds: number): Promise<AuditEvent[]> {
  const rows = await db
    .selectFrom('audit_events')
    .select(['bucket', 'kind', 'subject', 'count'])
    .where('bucket', '>=', sql<Date>`now() - make_interval(secs => ${sinceSeconds})`)
    .orderBy('bucket', 'desc')
    .orderBy('kind', 'desc')
    .orderBy('subject', 'desc')
    .limit(readMax)
    .execute();
  return rows.toReversed();
}

/** Selects the counts that are older than `ttlDays` days. */
export function oldAuditEvents(ttlDays: number): ExpiringRows {
  return {
    table: 'audit_events',
    isExpired: sql<boolean>`bucket < now() - make_interval(days => ${ttlDays}::integer)`,
    first: [{ at: sql`min(bucket)`, keptFor: sql`make_interval(days => ${ttlDays}::integer)` }],
  };
}
