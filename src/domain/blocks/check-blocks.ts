import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { timeBucketMs } from '#privacy/buckets.ts';
import { relationshipOf } from './block.ts';
import type { BlockRelationship } from './block.ts';
import { readBlockers } from './read-blockers.ts';
import type { BlockDeps } from './read-blockers.ts';

export interface CheckedBlocks {
  readonly blocks: readonly BlockRelationship[];
  readonly checkedAt: Date;
}

/**
 * Lists the blocks between the caller and each person in `dids`, in both directions. The caller's blocks are read
 * again, and a person whose PDS does not respond counts as blocking no one.
 * @throws AppError BlueskyServiceUnavailable when the caller's own PDS cannot be read.
 */
export async function checkBlocks(
  deps: BlockDeps & { readonly timeBucketSeconds: number },
  caller: Caller,
  dids: readonly string[],
): Promise<CheckedBlocks> {
  const others = [...new Set(dids)].filter((did) => did !== caller.did);
  const [own, blockers] = await Promise.all([
    deps.blocks.blocksOf(caller.did, { refresh: 'force' }),
    readBlockers(deps, caller.did, others),
  ]);
  if (own === undefined) throw domainError('BlueskyServiceUnavailable');
  const blocks = others.flatMap((did) => {
    const [byCaller, byOther] = [own.get(did), blockers.get(did)];
    return [
      ...(byCaller === undefined ? [] : [relationshipOf(caller.did, byCaller)]),
      ...(byOther === undefined ? [] : [relationshipOf(did, byOther)]),
    ];
  });
  return { blocks, checkedAt: new Date(timeBucketMs(deps.clock.nowMs(), deps.timeBucketSeconds)) };
}
