import type { Db } from '#storage/connection/database.ts';
import { selectCipherSuite } from './store.ts';

/** The wire number of the cipher suite of a conversation that exists. */
export async function readCipherSuite(deps: { db: Db }, groupId: Buffer): Promise<number> {
  return selectCipherSuite(deps.db, groupId);
}
