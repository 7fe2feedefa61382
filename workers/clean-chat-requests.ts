import { pastChatRequests, unfetchableRequestMessages } from '#domain/chat-requests/retention.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/** Removes expired chat requests, and messages of accepted requests that can no longer be fetched, once an hour. */
export const cleanChatRequestsJob: JobRun = ({ config, lease }) =>
  removeExpired(lease, [unfetchableRequestMessages(config.CHAT_MESSAGE_TTL_HOURS), pastChatRequests]);
