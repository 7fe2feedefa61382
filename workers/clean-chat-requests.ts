import { pastChatRequests, unfetchableRequestMessages } from '#domain/chat-requests/retention.ts';
import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobRun } from './start-worker.ts';

/** Hourly: held messages that nobody can fetch any more, and requests past their time. */
export const cleanChatRequestsJob: JobRun = ({ config, turn }) =>
  removeExpired(turn, [unfetchableRequestMessages(config.CHAT_MESSAGE_TTL_HOURS), pastChatRequests]);
