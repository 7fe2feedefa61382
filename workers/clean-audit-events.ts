import { removeExpired } from '#jobs/remove-expired.ts';
import { oldAuditEvents } from '#storage/rows/audit-events.ts';
import { oldOperatorActions } from '#storage/rows/operator-actions.ts';
import type { JobRun } from './start-worker.ts';

/** Daily: removes counts and operator actions past the retention of the audit log. */
export const cleanAuditEventsJob: JobRun = ({ config, lease }) =>
  removeExpired(lease, [oldAuditEvents(config.AUDIT_TTL_DAYS), oldOperatorActions(config.AUDIT_TTL_DAYS)]);
