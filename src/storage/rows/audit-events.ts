import { sql } from 'kysely';
import type { Db, Sql } from '../connection/database.ts';
import type { ExpiringRows } from '../expiry/expiring-rows.ts';

/** How often an event occurred; `kind` and `subject` are from closed lists (`src/ops/audit-subjects.ts`). */
export interface AuditCount {
  readonly kind: string;
  readonly subject: string;
  readonly count: number;
}

/** A count within the time bucket that begins at `bucket`. */
export interface AuditEvent extends AuditCount {
  readonly bucket: Date;
}

const readMax = 100_000;

/** Adds to the counts of the present bucket, in one statement; `counts` must be distinct. */
export async function addAuditCounts(db: Sql, counts: readonly AuditCount[], bucketSeconds: number): Promise<void> {
  if (counts.length === 0) return;
  // Sorted, so that servers that add to the same rows wait for each other and do not deadlock.
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

/** The counts of the last `sinceSeconds`, oldest first. */
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

/** Counts older than `ttlDays`. */
export function oldAuditEvents(ttlDays: number): ExpiringRows {
  return {
    table: 'audit_events',
    isExpired: sql<boolean>`bucket < now() - make_interval(days => ${ttlDays}::integer)`,
    first: [{ at: sql`min(bucket)`, keptFor: sql`make_interval(days => ${ttlDays}::integer)` }],
  };
}
