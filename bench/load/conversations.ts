import { newSecret } from '#platform/ids.ts';
import type { BenchServer } from '../server/bench-server.ts';
import { runClosedLoop } from './closed-loop.ts';
import { postRequest } from './http-connection.ts';
import type { Person } from './people.ts';

/** A conversation that the service has created. */
export interface SeededConversation {
  readonly groupId: Buffer;
  readonly id: string;
  /** Members whose tokens can be signed, the creator first. */
  readonly members: readonly [Person, ...Person[]];
}

const cipherSuite = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519';
const connections = 8;

/** Creates conversations over the API, so that every release can be measured. */
export async function createConversations(
  server: BenchServer,
  memberships: readonly SeededConversation['members'][],
): Promise<SeededConversation[]> {
  const conversations = memberships.map((members): SeededConversation => {
    const groupId = newSecret(16);
    return { groupId, id: groupId.toString('hex'), members };
  });
  const requests = conversations.map(({ id, members: [creator, ...others] }) => {
    const body = { groupId: id, cipherSuite, initialMembers: others.map(({ did }) => did) };
    return postRequest('createConvo', creator.mintToken('createConvo'), JSON.stringify(body));
  });
  await runClosedLoop(server.serverPort, connections, requests);
  return conversations;
}
