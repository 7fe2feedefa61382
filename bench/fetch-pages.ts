import { newSecret, newUuid } from '#platform/ids.ts';
import { getRequest, runLoad } from './http-load.ts';
import type { LoadResult } from './http-load.ts';
import type { Seed } from './seed.ts';
import type { BenchServer } from './bench-server.ts';

const connections = 16;
const pageMessages = 50;
const bodySizeBytes = 1_024;
const filledConversations = 50;

/** Measures the time to fetch pages of 50 messages of 1 KiB, with 16 concurrent requests. */
export async function measureFetches(server: BenchServer, seed: Seed, pages: number): Promise<LoadResult> {
  const conversations = seed.conversations.slice(0, filledConversations);
  for (const { groupId } of conversations) await fill(server, groupId);
  const requests = Array.from({ length: pages }, (_, index) => {
    const conversation = conversations[index % conversations.length];
    if (conversation === undefined) throw new Error('no conversations');
    const token = conversation.members[index % 2 === 0 ? 0 : 1].mintToken('getMessages');
    return getRequest('getMessages', token, `convoId=${conversation.id}&limit=${pageMessages}`);
  });
  return runLoad(server.serverPort, connections, requests);
}

async function fill(server: BenchServer, groupId: Buffer): Promise<void> {
  const { sql } = server.database;
  await sql.begin(async (tx) => {
    const [counters] = await tx<{ lastSeq: number }[]>`
      UPDATE conversation_counters SET last_seq = last_seq + ${pageMessages} WHERE group_id = ${groupId}
      RETURNING last_seq AS "lastSeq"`;
    const first = (counters?.lastSeq ?? pageMessages) - pageMessages + 1;
    for (let index = 0; index < pageMessages; index++) {
      await tx`INSERT INTO messages (group_id, seq, epoch, kind, msg_id, received_at, body)
        VALUES (${groupId}, ${first + index}, 0, 1, ${newUuid()}, date_trunc('minute', now()), ${newSecret(bodySizeBytes)})`;
    }
  });
}
