import { endedInvites } from '#domain/invites/retention.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/** Removes invites that ended INVITE_TTL_DAYS ago, once a day. */
export const cleanInvitesJob: JobRun = ({ config, lease }) =>
  removeExpired(lease, [endedInvites(config.INVITE_TTL_DAYS)]);
