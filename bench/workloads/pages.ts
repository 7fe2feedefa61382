import { required } from '#platform/errors.ts';
import { runClosedLoop } from '../load/closed-loop.ts';
import { getRequest } from '../load/http-connection.ts';
import { readySend } from '../load/send-requests.ts';
import type { SeededConversation } from '../load/conversations.ts';
import type { Side } from '../load/side.ts';
import type { Workload } from './workload.ts';

const connections = 16;
const fillConnections = 32;
export const pageMessages = 50;
const filledConversations = 50;

const pages: Workload = {
  name: 'pages',
  title: 'Pages of 50 messages of 1 KiB, 16 in flight',
  unit: 'page',
  async prepare(side) {
    const conversations = await filledConversationsOf(side);
    const requests = Array.from({ length: side.plan.pages }, (_, index) => {
      const { id, members } = required(conversations[index % conversations.length], 'a conversation');
      const token = members[0].mintToken('getMessages');
      return getRequest('getMessages', token, `convoId=${id}&limit=${pageMessages}`);
    });
    return { run: () => runClosedLoop(side.server.serverPort, connections, requests) };
  },
};

/** Returns conversations that have at least one page of messages. */
export function filledConversationsOf(side: Side): Promise<readonly SeededConversation[]> {
  return side.once('pages', () => fill(side));
}

/** Sends at least one page of messages to each of 50 conversations. */
async function fill({ server, conversations }: Side): Promise<readonly SeededConversation[]> {
  const filled = conversations.slice(-filledConversations);
  const requests = filled.flatMap((conversation) =>
    Array.from({ length: pageMessages }, () => readySend(conversation).request),
  );
  await runClosedLoop(server.serverPort, fillConnections, requests);
  return filled;
}

export const pageWorkloads = [pages];
