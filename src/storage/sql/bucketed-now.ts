import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';

/**
 * Builds the SQL for the database's time, rounded down to the time bucket. Ordinary rows must not store a more exact
 * time.
 */
export function bucketedNow(bucketSeconds: number): RawBuilder<Date> {
  return sql<Date>`to_timestamp(floor(extract(epoch FROM clock_timestamp()) / ${bucketSeconds}::integer) * ${bucketSeconds}::integer)`;
}
