import { readConversationList } from '#domain/accounts/read-conversation-list.ts';
import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { consumeByRefs } from './store.ts';

/** Consumes the caller's waiting Welcomes for these key packages, because the caller can no longer open them. */
export async function endWelcomesOfPackages(
  deps: { db: Db; privacy: Privacy; timeBucketSeconds: number },
  caller: Caller,
  refs: readonly Buffer[],
): Promise<void> {
  if (refs.length === 0) return;
  const groupIds = await readConversationList(deps, caller.did);
  const welcomes = groupIds.flatMap((groupId) =>
    refs.map((ref) => ({ groupId, ref: deps.privacy.pseudonym('welcome-ref', [groupId], ref) })),
  );
  await consumeByRefs(deps.db, welcomes, deps.timeBucketSeconds);
}
