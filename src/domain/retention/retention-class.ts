import type { JobName } from '#jobs/catalogue.ts';
import type { Config } from '#platform/config/config.ts';
import type { SettingName } from '#platform/config/settings.ts';
import type { Db } from '#storage/connection/database.ts';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';
import type { PartitionedTable } from '#storage/expiry/partitions.ts';
import type { Tables } from '#storage/schema/tables.ts';

/** How rows of a class are found when their time is over. */
export type Expiring =
  | { readonly by: 'partition'; readonly table: PartitionedTable; readonly retentionDays: number }
  | {
      readonly by: 'row';
      /** What the job removes, with all that it removes before. */
      readonly rows: ExpiringRows;
    }
  | {
      /** By their number; a job takes at most as many at once as are counted. */
      readonly by: 'number';
      readonly count: (db: Db) => Promise<number>;
    };

/** Rows that are kept for one reason, for one time. */
export interface RetentionClass {
  /** What it is, in words for an operator. */
  readonly what: string;
  /** For how long, in words; settings by their names. */
  readonly keptFor: string;
  readonly settings: readonly SettingName[];
  readonly table: keyof Tables;
  /** What removes it. */
  readonly job: JobName;
  readonly expiring: (config: Config) => Expiring;
}
