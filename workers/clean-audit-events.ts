import { removeExpired } from '#jobs/remove-expired.ts';
import { oldAuditEvents } from '#storage/rows/audit-events.ts';
import { oldOperatorActions } from '#storage/rows/operator-actions.ts';
import type { JobRun } from './start-worker.ts';

/** Removes counts and operator actions older than AUDIT_TTL_DAYS, once a day. */
export const cleanAuditEventsJob: JobRun = ({ config, lease }) =>
  removeExpired(lease, [oldAuditEvents(config.AUDIT_TTL_DAYS), oldOperatorActions(config.AUDIT_TTL_DAYS)]);
