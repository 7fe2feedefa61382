import type { Clock } from '#platform/clock.ts';
import type { BlockRecord, FetchBlockRecords } from './fetch-block-records.ts';
import { createLruMap } from '../lru-map.ts';

/** The block records of one person, by the DID of the blocked person. */
export type BlockList = ReadonlyMap<string, BlockRecord>;

/**
 * Reads the block records that people publish in their repositories. Lists stay in memory for a minute and are never
 * stored.
 */
export interface BlockRecords {
  /**
   * Returns the newest 1,000 blocks of `did`, or undefined when the PDS cannot be read. `refresh: 'force'` reads the
   * PDS even if a list is in memory.
   */
  blocksOf(did: string, options?: { refresh: 'force' }): Promise<BlockList | undefined>;
  /**
   * Reads one record from the PDS. Returns `absent` if the PDS has no such record, and `unreadable` if the PDS cannot
   * be read.
   */
  blockAt(did: string, recordKey: string): Promise<BlockRecord | 'absent' | 'unreadable'>;
}

export interface BlockRecordsDeps {
  readonly fetchBlockRecords: FetchBlockRecords;
  readonly clock: Clock;
}

/** Each list has up to 1,000 blocks, so all lists together take at most about 40 MB. */
const listsMax = 256;
const unreadableMax = 4_096;
const freshMs = 60_000;
/** Milliseconds to wait after a failed read before the same person's blocks are read again. */
const unreadableMs = 5_000;

export function createBlockRecords({ fetchBlockRecords, clock }: BlockRecordsDeps): BlockRecords {
  const lists = createLruMap<string, { readonly list: BlockList; readonly untilMs: number }>(listsMax);
  const unreadable = createLruMap<string, number>(unreadableMax);
  const inFlight = new Map<string, Promise<BlockList | undefined>>();

  async function read(did: string): Promise<BlockList | undefined> {
    try {
      const records = await fetchBlockRecords.list(did);
      const list: BlockList = new Map(records.map((record) => [record.subjectDid, record]));
      lists.set(did, { list, untilMs: clock.monotonicMs() + freshMs });
      unreadable.delete(did);
      return list;
    } catch {
      // Every failure (DID document, address, size, time, format) makes the list unreadable.
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
        // The list in memory is deleted, because it may lack the record that was just read.
        lists.delete(did);
        return record ?? 'absent';
      } catch {
        return 'unreadable';
      }
    },
  };
}

/** Used when BLOCK_CHECKS is false, so that the service reads no PDS. */
export const noBlockRecords: BlockRecords = {
  blocksOf: () => Promise.resolve(undefined),
  blockAt: () => Promise.resolve('unreadable'),
};
