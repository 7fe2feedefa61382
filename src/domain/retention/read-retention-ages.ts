import type { JobName } from '#jobs/catalogue.ts';
import type { Config } from '#platform/config/config.ts';
import type { Database } from '#storage/connection/database.ts';
import { firstRowAges } from '#storage/expiry/expiring-rows.ts';
import type { ExpiringRows, FirstRow } from '#storage/expiry/expiring-rows.ts';
import { oldestPartitionAge } from '#storage/expiry/partitions.ts';
import { retentionClasses, retentionClassNames } from './retention-classes.ts';
import type { RetentionClassName } from './retention-classes.ts';

/** The age of a retention class's oldest row, which shows whether the job of the class deletes rows in time. */
export interface RetentionAge {
  readonly name: RetentionClassName;
  readonly job: JobName;
  /**
   * Milliseconds since the retention of the oldest row began; undefined if there is no row, or if rows store only the
   * end of their retention.
   */
  readonly oldestMs: number | undefined;
  /** Milliseconds since the retention of the oldest row ended; 0 if no row has expired. */
  readonly overdueMs: number;
}

interface AgeSource extends FirstRow, Pick<ExpiringRows, 'table'> {
  readonly name: RetentionClassName;
}

/** Lists the index reads that find the oldest rows, for every class that expires by row. */
export function ageSources(config: Config): readonly AgeSource[] {
  return retentionClassNames.flatMap((name) => {
    const expiring = retentionClasses[name].expiring(config);
    if (expiring.by !== 'row') return [];
    const { table, first = [] } = expiring.rows;
    return first.map((source) => ({ ...source, name, table }));
  });
}

/** Reads the age of the oldest row of each class, without reading other rows. */
export async function readRetentionAges(database: Database, config: Config): Promise<RetentionAge[]> {
  const sources = ageSources(config);
  const { rows } = await firstRowAges(sources).execute(database.db);
  const byRow = [...new Set(sources.map(({ name }) => name))].map((name) => {
    const ages = rows.filter(({ place }) => sources[place]?.name === name);
    const oldestMs = greatest(ages.flatMap(({ ageMs }) => (ageMs === null ? [] : [ageMs])));
    const overdueMs = greatest(ages.flatMap((age) => (age.overdueMs === null ? [] : [age.overdueMs])));
    return { name, job: retentionClasses[name].job, oldestMs, overdueMs: overdueMs ?? 0 };
  });
  const byPartition = await Promise.all(
    (['messages', 'events'] as const).map(async (name) => {
      const { retentionDays } = retentionClasses[name].expiring(config);
      return {
        name,
        job: retentionClasses[name].job,
        ...(await oldestPartitionAge(database.sql, name, retentionDays)),
      };
    }),
  );
  return [...byPartition, ...byRow];
}

/** Returns the greatest value but at least 0, because a row that expires in the future is not overdue. */
function greatest(valuesMs: readonly number[]): number | undefined {
  return valuesMs.length === 0 ? undefined : Math.max(0, ...valuesMs);
}
