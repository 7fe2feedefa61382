import { createHash } from 'node:crypto';
import { newSecret } from '#platform/ids.ts';
import { opaque, uint16, uint64 } from './crafted-mls.ts';
import { pad } from '#client/conversation/padding.ts';

// Commits and proposals as PublicMessages with valid structure and random keys and signatures, which the service cannot check.

const empty = opaque(Buffer.alloc(0));
const [proposalContent, commitContent] = [2, 3];
export const senderTypes = { member: 1, external: 2, newMemberProposal: 3 } as const;

function leafNode(did: string, source: number, afterSource: readonly Buffer[]): Buffer {
  const keys = [opaque(newSecret(32)), opaque(newSecret(32)), uint16(1), opaque(Buffer.from(did))];
  const capabilities = [empty, empty, empty, empty, empty];
  return Buffer.concat([...keys, ...capabilities, Buffer.of(source), ...afterSource, empty, opaque(newSecret(64))]);
}

/** Proposals by type. */
export const proposals = {
  add: (did: string): Buffer => {
    const leaf = leafNode(did, 1, [uint64(0), uint64(4_000_000_000)]);
    return Buffer.concat([uint16(1), uint16(1), uint16(1), opaque(newSecret(32)), leaf, empty, opaque(newSecret(64))]);
  },
  update: (did: string): Buffer => Buffer.concat([uint16(2), leafNode(did, 2, [])]),
  remove: (leaf: number): Buffer => Buffer.concat([uint16(3), Buffer.of(0, 0, leaf >> 8, leaf & 0xff)]),
  externalPsk: (): Buffer => Buffer.concat([uint16(4), Buffer.of(1), opaque(newSecret(32)), opaque(newSecret(32))]),
  resumptionPsk: (): Buffer =>
    Buffer.concat([uint16(4), Buffer.of(2, 1), opaque(newSecret(16)), uint64(0), opaque(newSecret(32))]),
  reinit: (): Buffer => Buffer.concat([uint16(5), opaque(newSecret(16)), uint16(1), uint16(1), empty]),
  externalInit: (): Buffer => Buffer.concat([uint16(6), opaque(newSecret(32))]),
  groupContextExtensions: (): Buffer => Buffer.concat([uint16(7), empty]),
};

export const byValue = (proposal: Buffer): Buffer => Buffer.concat([Buffer.of(1), proposal]);
export const byReference = (ref: Uint8Array): Buffer => Buffer.concat([Buffer.of(2), opaque(ref)]);

interface InGroup {
  readonly groupId: Uint8Array;
  readonly epoch: number;
  /** Leaf index of the signer. */
  readonly leaf: number;
}

function publicMessage({ groupId, epoch }: InGroup, sender: Buffer, content: Buffer): Buffer {
  return Buffer.concat([uint16(1), uint16(1), opaque(groupId), uint64(epoch), sender, empty, content]);
}

const memberSender = (leaf: number): Buffer => Buffer.concat([Buffer.of(1), uint16(0), uint16(leaf)]);

/** Makes a commit of a member. @param commit.did the DID in the path's leaf; undefined for a commit without a path. */
export function craftClearCommit(
  commit: InGroup & { readonly did: string | undefined; readonly proposals: readonly Buffer[] },
): Buffer {
  const { did } = commit;
  const path = did === undefined ? [Buffer.of(0)] : [Buffer.of(1), leafNode(did, 3, [empty]), empty];
  const parts = [Buffer.of(commitContent), opaque(Buffer.concat(commit.proposals)), ...path];
  const authentication = [opaque(newSecret(64)), opaque(newSecret(32)), opaque(newSecret(32))];
  return publicMessage(commit, memberSender(commit.leaf), Buffer.concat([...parts, ...authentication]));
}

export interface CraftedProposal {
  readonly message: Buffer;
  /** In the padding envelope. */
  readonly padded: Buffer;
  /** RefHash of RFC 9420 section 5.2 with SHA-256. */
  readonly ref: Buffer;
}

export function craftClearProposal(
  given: InGroup & { readonly proposal: Buffer; readonly senderType?: keyof typeof senderTypes },
): CraftedProposal {
  const { senderType = 'member' } = given;
  const index = senderType === 'newMemberProposal' ? [] : [uint16(0), uint16(given.leaf)];
  const sender = Buffer.concat([Buffer.of(senderTypes[senderType]), ...index]);
  const parts = [Buffer.of(proposalContent), given.proposal, opaque(newSecret(64))];
  const untagged = publicMessage(given, sender, Buffer.concat(parts));
  const message = Buffer.concat([untagged, ...(senderType === 'member' ? [opaque(newSecret(32))] : [])]);
  // AuthenticatedContent begins after the version and ends before the membership tag.
  const referred = Buffer.concat([opaque(Buffer.from('MLS 1.0 Proposal Reference')), opaque(untagged.subarray(2))]);
  const ref = createHash('sha256').update(referred).digest();
  return { message, padded: Buffer.from(pad(message)), ref };
}
