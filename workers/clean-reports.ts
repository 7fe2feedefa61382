import { oldRemovalCounts } from '#domain/membership/retention.ts';
import { oldReports } from '#domain/reports/retention.ts';
import { expiredWarnings } from '#domain/warnings/retention.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/** Removes reports and counts of removals older than REPORT_TTL_DAYS, and expired warnings, once an hour. */
export const cleanReportsJob: JobRun = ({ config, lease }) =>
  removeExpired(lease, [expiredWarnings, oldReports(config.REPORT_TTL_DAYS), oldRemovalCounts(config.REPORT_TTL_DAYS)]);
