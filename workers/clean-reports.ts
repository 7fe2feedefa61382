import { oldRemovalCounts } from '#domain/membership/retention.ts';
import { oldReports } from '#domain/reports/retention.ts';
import { expiredWarnings } from '#domain/warnings/retention.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/** Hourly: removes old reports, warnings and counts of removals. */
export const cleanReportsJob: JobRun = ({ config, lease }) =>
  removeExpired(lease, [expiredWarnings, oldReports(config.REPORT_TTL_DAYS), oldRemovalCounts(config.REPORT_TTL_DAYS)]);
