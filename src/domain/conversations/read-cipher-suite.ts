import type { Db } from '#storage/connection/database.ts';
import { selectCipherSuite } from './store.ts';

/** Reads the number of the conversation's cipher suite (RFC 9420 section 17.1). The conversation must exist. */
export async function readCipherSuite(deps: { db: Db }, groupId: Buffer): Promise<number> {
  return selectCipherSuite(deps.db, groupId);
}
