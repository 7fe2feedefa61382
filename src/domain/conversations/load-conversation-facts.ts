import { cipherSuiteName } from '#mls/cipher-suites.ts';
import { required } from '#platform/errors.ts';
import type { Db } from '#storage/connection/database.ts';
import { selectConversations } from './store.ts';

/**
 * Loads the fields of a conversation that never change. Call it after a membership check, because it does not check the
 * caller.
 */
export async function loadConversationFacts(
  deps: { db: Db },
  groupId: Buffer,
): Promise<{ createdAt: Date; cipherSuite: string }> {
  const [row] = await selectConversations(deps.db, [groupId]);
  const { createdAt, cipherSuite } = required(row, 'the conversation of a member');
  return { createdAt, cipherSuite: required(cipherSuiteName(cipherSuite), 'the name of a stored cipher suite') };
}
