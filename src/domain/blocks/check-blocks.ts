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
 * Blocks between the caller and `dids`, in both directions, without blocks among the others. A person whose PDS does
 * not respond counts as blocking no one; the caller's own blocks are read again.
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
