import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';

/** The database's clock, rounded down to the time bucket: the only time that ordinary rows may store. */
export function bucketedNow(bucketSeconds: number): RawBuilder<Date> {
  return sql<Date>`to_timestamp(floor(extract(epoch FROM clock_timestamp()) / ${bucketSeconds}::integer) * ${bucketSeconds}::integer)`;
}
