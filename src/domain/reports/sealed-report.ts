import { decode, encode } from '@atproto/lex-cbor';
import type { LexValue } from '@atproto/lex-schema';
import { padToBucket, unpadFromBucket } from '#privacy/buckets.ts';
import type { Privacy, SealPurpose } from '#privacy/privacy.ts';
import type { ReportContent, ReportParties, ReportResolution } from './report.ts';

/** Seals one part of a report for the row with this report id, padded to a size bucket. */
function sealPart(privacy: Privacy, purpose: SealPurpose, reportId: string, part: LexValue): Buffer {
  return privacy.seal(purpose, [reportId], padToBucket(encode(part)));
}

function openPart(privacy: Privacy, purpose: SealPurpose, reportId: string, sealed: Buffer): LexValue {
  return decode(unpadFromBucket(privacy.unseal(purpose, [reportId], sealed)));
}

export function sealParties(privacy: Privacy, reportId: string, parties: ReportParties): Buffer {
  return sealPart(privacy, 'report-parties', reportId, { ...parties });
}

export function sealContent(privacy: Privacy, reportId: string, content: ReportContent): Buffer {
  return sealPart(privacy, 'report-content', reportId, { ...content, messageIds: [...content.messageIds] });
}

export function sealResolution(privacy: Privacy, reportId: string, resolution: ReportResolution): Buffer {
  return sealPart(privacy, 'report-resolution', reportId, { ...resolution });
}

// A value can be unsealed only for the row and the purpose for which it was sealed, so the types below are those that
// the seal functions took.

export function openParties(privacy: Privacy, reportId: string, sealed: Buffer): ReportParties {
  return openPart(privacy, 'report-parties', reportId, sealed) as unknown as ReportParties;
}

export function openContent(privacy: Privacy, reportId: string, sealed: Buffer): ReportContent {
  return openPart(privacy, 'report-content', reportId, sealed) as unknown as ReportContent;
}

export function openResolution(privacy: Privacy, reportId: string, sealed: Buffer): ReportResolution {
  return openPart(privacy, 'report-resolution', reportId, sealed) as unknown as ReportResolution;
}
