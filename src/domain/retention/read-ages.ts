import type { JobName } from '#jobs/catalogue.ts';
import type { Config } from '#platform/config/config.ts';
import type { Database } from '#storage/connection/database.ts';
import { firstRowAges } from '#storage/expiry/expiring-rows.ts';
import type { ExpiringRows, FirstRow } from '#storage/expiry/expiring-rows.ts';
import { oldestPartitionAge } from '#storage/expiry/partitions.ts';
import { retentionClasses, retentionClassNames } from './retention-classes.ts';
import type { RetentionClassName } from './retention-classes.ts';

/** How a class stands at the moment. */
export interface RetentionAge {
  readonly name: RetentionClassName;
  readonly job: JobName;
  /** Since the time from which the oldest row's retention counts; undefined without a row, or where rows only know their end. */
  readonly oldestMs: number | undefined;
  /** For how long the oldest row could have been gone; 0 when nothing is past its time. */
  readonly overdueMs: number;
}

interface AgeSource extends FirstRow, Pick<ExpiringRows, 'table'> {
  readonly name: RetentionClassName;
}

/** Every row of a class whose first row an index shows. */
export function ageSources(config: Config): readonly AgeSource[] {
  return retentionClassNames.flatMap((name) => {
    const expiring = retentionClasses[name].expiring(config);
    if (expiring.by !== 'row') return [];
    const { table, first = [] } = expiring.rows;
    return first.map((source) => ({ ...source, name, table }));
  });
}

/** Looks at the first row of each class by which one can tell whether its job keeps up; reads no more than that row. */
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

/** Not below 0: what is still to come is not old. */
function greatest(valuesMs: readonly number[]): number | undefined {
  return valuesMs.length === 0 ? undefined : Math.max(0, ...valuesMs);
}
