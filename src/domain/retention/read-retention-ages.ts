import type { JobName } from '#jobs/catalogue.ts';
import type { Config } from '#platform/config/config.ts';
import type { Database } from '#storage/connection/database.ts';
import { firstRowAges } from '#storage/expiry/expiring-rows.ts';
import type { ExpiringRows, FirstRow } from '#storage/expiry/expiring-rows.ts';
import { oldestPartitionAge } from '#storage/expiry/partitions.ts';
import { retentionClasses, retentionClassNames } from './retention-classes.ts';
import type { RetentionClassName } from './retention-classes.ts';

/** The age of a retention class's oldest row. */
export interface RetentionAge {
  readonly name: RetentionClassName;
  readonly job: JobName;
  /**
   * Time since the start of the oldest row's retention; undefined without a row, or when rows only store the end of
   * their retention.
   */
  readonly oldestMs: number | undefined;
  /** Time since the end of the oldest row's retention; 0 when no row has expired. */
  readonly overdueMs: number;
}

interface AgeSource extends FirstRow, Pick<ExpiringRows, 'table'> {
  readonly name: RetentionClassName;
}

/** Lists the first rows that an index can find, for each class that expires by row. */
export function ageSources(config: Config): readonly AgeSource[] {
  return retentionClassNames.flatMap((name) => {
    const expiring = retentionClasses[name].expiring(config);
    if (expiring.by !== 'row') return [];
    const { table, first = [] } = expiring.rows;
    return first.map((source) => ({ ...source, name, table }));
  });
}

/** Reads the oldest row of each class, which shows whether the class's job keeps up; no other rows are read. */
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

/** The greatest value, at least 0, because a row that expires in the future is not overdue. */
function greatest(valuesMs: readonly number[]): number | undefined {
  return valuesMs.length === 0 ? undefined : Math.max(0, ...valuesMs);
}
