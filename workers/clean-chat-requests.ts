import { pastChatRequests, unfetchableRequestMessages } from '#domain/chat-requests/retention.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/** Hourly: removes messages of accepted chat requests that can no longer be fetched, and expired requests. */
export const cleanChatRequestsJob: JobRun = ({ config, lease }) =>
  removeExpired(lease, [unfetchableRequestMessages(config.CHAT_MESSAGE_TTL_HOURS), pastChatRequests]);
