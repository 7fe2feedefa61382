import type { JobName } from '#jobs/catalogue.ts';
import type { Config } from '#platform/config/config.ts';
import type { SettingName } from '#platform/config/settings.ts';
import type { Db } from '#storage/connection/database.ts';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';
import type { PartitionedTable } from '#storage/expiry/partitions.ts';
import type { Tables } from '#storage/schema/tables.ts';

/** The way in which the expired rows of a class are found. */
export type Expiring =
  | { readonly by: 'partition'; readonly table: PartitionedTable; readonly retentionDays: number }
  | {
      readonly by: 'row';
      /** The rows that the class's job deletes. */
      readonly rows: ExpiringRows;
    }
  | {
      /** Rows beyond a maximum number expire; one run of the job deletes at most as many rows as `count` returns. */
      readonly by: 'number';
      readonly count: (db: Db) => Promise<number>;
    };

/** Rows of one table that have the same retention for the same reason. */
export interface RetentionClass {
  /** The data of the class, described for operators. */
  readonly what: string;
  /** The retention as text, with the names of its settings. */
  readonly keptFor: string;
  readonly settings: readonly SettingName[];
  readonly table: keyof Tables;
  /** The job that deletes the rows. */
  readonly job: JobName;
  readonly expiring: (config: Config) => Expiring;
}
