import { blockUri } from '#identity/block-records/fetch-block-records.ts';
import type { BlockRecord } from '#identity/block-records/fetch-block-records.ts';

/** A block of one person by another, as published in the blocker's repository. */
export interface BlockRelationship {
  readonly blockerDid: string;
  readonly blockedDid: string;
  readonly createdAt: Date;
  readonly blockUri: string;
}

export function relationshipOf(blockerDid: string, record: BlockRecord): BlockRelationship {
  return {
    blockerDid,
    blockedDid: record.subjectDid,
    createdAt: new Date(record.createdAtMs),
    blockUri: blockUri(blockerDid, record.recordKey),
  };
}
