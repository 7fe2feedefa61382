import { cipherSuiteName } from '#mls/cipher-suites.ts';
import { required } from '#platform/errors.ts';
import type { Db } from '#storage/connection/database.ts';
import { selectConversations } from './store.ts';

/** What never changes about a conversation, for callers that have been found to belong to it. */
export async function loadConversationFacts(
  deps: { db: Db },
  groupId: Buffer,
): Promise<{ createdAt: Date; cipherSuite: string }> {
  const [row] = await selectConversations(deps.db, [groupId]);
  const { createdAt, cipherSuite } = required(row, 'the conversation of a member');
  return { createdAt, cipherSuite: required(cipherSuiteName(cipherSuite), 'the name of a stored cipher suite') };
}
