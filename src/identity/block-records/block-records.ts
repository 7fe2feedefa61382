import type { Clock } from '#platform/clock.ts';
import type { BlockRecord, FetchBlockRecords } from './fetch-block-records.ts';
import { createLruMap } from '../lru-map.ts';

/** A person's blocks by the DID that is blocked. */
export type BlockList = ReadonlyMap<string, BlockRecord>;

/** What people publish about whom they block. It is kept in memory for a minute and never stored. */
export interface BlockRecords {
  /**
   * Whom `did` blocks, or undefined when their PDS cannot be read. `refresh: 'force'` reads now. Of somebody with more than
   * 1,000 block records only the newest count.
   */
  blocksOf(did: string, options?: { refresh: 'force' }): Promise<BlockList | undefined>;
  /** One record, read now: the block, `absent`, or `unreadable`. */
  blockAt(did: string, recordKey: string): Promise<BlockRecord | 'absent' | 'unreadable'>;
}

export interface BlockRecordsDeps {
  readonly fetchBlockRecords: FetchBlockRecords;
  readonly clock: Clock;
}

/** Up to 1,000 blocks each: at worst some 40 MB. */
const listsMax = 256;
const absencesMax = 4_096;
const freshMs = 60_000;
/** A PDS that failed is asked again after this. */
const unreadableMs = 5_000;

export function createBlockRecords({ fetchBlockRecords, clock }: BlockRecordsDeps): BlockRecords {
  const lists = createLruMap<string, { readonly list: BlockList; readonly untilMs: number }>(listsMax);
  const unreadable = createLruMap<string, number>(absencesMax);
  const inFlight = new Map<string, Promise<BlockList | undefined>>();

  async function read(did: string): Promise<BlockList | undefined> {
    try {
      const records = await fetchBlockRecords.list(did);
      const list: BlockList = new Map(records.map((record) => [record.subjectDid, record]));
      lists.set(did, { list, untilMs: clock.monotonicMs() + freshMs });
      unreadable.delete(did);
      return list;
    } catch {
      // Whatever failed (document, address, size, time, format), the person's blocks are not known.
      unreadable.set(did, clock.monotonicMs() + unreadableMs);
      return undefined;
    }
  }

  function readOnce(did: string): Promise<BlockList | undefined> {
    const started: Promise<BlockList | undefined> = read(did).finally(() => {
      if (inFlight.get(did) === started) inFlight.delete(did);
    });
    inFlight.set(did, started);
    return started;
  }

  return {
    async blocksOf(did, options) {
      if (options?.refresh === 'force') return readOnce(did);
      const nowMs = clock.monotonicMs();
      const cached = lists.get(did);
      if (cached !== undefined && nowMs < cached.untilMs) return cached.list;
      if (nowMs < (unreadable.get(did) ?? 0)) return undefined;
      return inFlight.get(did) ?? readOnce(did);
    },
    async blockAt(did, recordKey) {
      try {
        const record = await fetchBlockRecords.get(did, recordKey);
        // The list in memory is older than what was just asked about.
        lists.delete(did);
        return record ?? 'absent';
      } catch {
        return 'unreadable';
      }
    },
  };
}

/** For BLOCK_CHECKS=false: nobody's PDS is asked. */
export const noBlockRecords: BlockRecords = {
  blocksOf: () => Promise.resolve(undefined),
  blockAt: () => Promise.resolve('unreadable'),
};
