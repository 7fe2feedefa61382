import { readAccountSettings } from '#domain/accounts/read-account-settings.ts';
import type { BlockRecord } from '#identity/block-records/fetch-block-records.ts';
import type { BlockRecords } from '#identity/block-records/block-records.ts';
import type { Clock } from '#platform/clock.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';

export interface BlockDeps {
  /** Reads block records from people's own repositories. */
  readonly blocks: BlockRecords;
  readonly clock: Clock;
}

/** Milliseconds for which a request waits for the PDSs of other people. */
const timeoutMs = 3_000;

/**
 * Finds the people among `others` who block `did`. Do not call it in a transaction, because it waits for other servers.
 * @returns the block records by the DID of the blocker.
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
  // A person whose PDS does not respond in time counts as blocking no one, because otherwise a PDS failure would lock
  // its users out.
  await Promise.race([all, deps.clock.sleep(timeoutMs, isDone.signal)]);
  isDone.abort();
  return new Map(blockers);
}

/**
 * Finds the people among `dids` who have an account here and block `did`. People without an account are not checked, so
 * that a list of invented DIDs cannot cause hundreds of outbound requests.
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
