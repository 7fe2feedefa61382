import { endedInvites } from '#domain/invites/retention.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/** Daily: invites that ended a while ago. */
export const cleanInvitesJob: JobRun = ({ config, turn }) =>
  removeExpired(turn, [endedInvites(config.INVITE_TTL_DAYS)]);
