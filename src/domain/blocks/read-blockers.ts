import { readAccountSettings } from '#domain/accounts/read-account-settings.ts';
import type { BlockRecord } from '#identity/block-records/fetch-block-records.ts';
import type { BlockRecords } from '#identity/block-records/block-records.ts';
import type { Clock } from '#platform/clock.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';

export interface BlockDeps {
  /** What people publish in their own repositories. */
  readonly blocks: BlockRecords;
  readonly clock: Clock;
}

/** How long a request waits for the PDSs of others. */
const timeoutMs = 3_000;

/**
 * Those of `others` who block `did`, with the record of each. Somebody whose PDS does not answer in time counts as one who
 * blocks nobody: otherwise a PDS that is down would lock its people out. Call it outside of transactions.
 */
export async function readBlockers(
  deps: BlockDeps,
  did: string,
  others: readonly string[],
): Promise<ReadonlyMap<string, BlockRecord>> {
  const blockers = new Map<string, BlockRecord>();
  const isDone = new AbortController();
  const all = Promise.all(
    others.map(async (other) => {
      const record = other === did ? undefined : (await deps.blocks.blocksOf(other))?.get(did);
      if (record !== undefined) blockers.set(other, record);
    }),
  );
  await Promise.race([all, deps.clock.sleep(timeoutMs, isDone.signal)]);
  isDone.abort();
  return new Map(blockers);
}

/**
 * As `readBlockers`, of those among `dids` who have an account here: a list of made-up DIDs must not make the service ask
 * hundreds of strangers' servers.
 */
export async function readKnownBlockers(
  deps: BlockDeps & { readonly db: Db; readonly privacy: Privacy },
  did: string,
  dids: readonly string[],
): Promise<ReadonlyMap<string, BlockRecord>> {
  if (dids.length === 0) return new Map();
  const accounts = await readAccountSettings(deps, dids);
  return readBlockers(deps, did, [...accounts.keys()]);
}
