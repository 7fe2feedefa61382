import { limits } from '#platform/limits.ts';

import type { ByteReader } from '../encoding/byte-reader.ts';
import { readKeyPackageStructure } from '../key-packages/key-package-structure.ts';
import { LEAF_NODE_SOURCE, readExtensions, readLeafNode } from '../key-packages/leaf-node.ts';
import type { LeafNode } from '../key-packages/leaf-node.ts';
import { MlsFormatError } from '../encoding/mls-format-error.ts';

/** Values of ProposalType (RFC 9420 sections 12.1 and 17.4). */
const PROPOSAL_TYPE = {
  add: 1,
  update: 2,
  remove: 3,
  psk: 4,
  reinit: 5,
  externalInit: 6,
  groupContextExtensions: 7,
} as const;

const PROPOSAL_BY_VALUE = 1;
const PROPOSAL_BY_REFERENCE = 2;
const PSK_EXTERNAL = 1;
const PSK_RESUMPTION = 2;

/** The fields of a cleartext Proposal that the service uses. Byte arrays are views on the input. */
export type ProposalShape =
  /** `identity` is that of a Basic credential, and undefined for other credentials. */
  | { readonly type: 'add' | 'update'; readonly identity: Uint8Array | undefined }
  | { readonly type: 'remove'; readonly leafIndex: number }
  /** `externalId` is undefined for a resumption PSK. */
  | { readonly type: 'psk'; readonly externalId: Uint8Array | undefined }
  | { readonly type: 'reinit' | 'externalInit' | 'groupContextExtensions' };

/** A proposal of a Commit, either by value or by the ProposalRef of a proposal that was sent earlier. */
export type CommittedProposal = ProposalShape | { readonly type: 'reference'; readonly ref: Uint8Array };

/** The fields of a cleartext Commit that the service uses. */
export interface CommitShape {
  /** The new leaf of the committer, or undefined in a commit without a path. */
  readonly pathLeaf: LeafNode | undefined;
  readonly proposals: readonly CommittedProposal[];
}

/**
 * Reads a PreSharedKeyID (RFC 9420 section 8.4).
 * @returns the id of an external PSK, or undefined for a resumption PSK.
 */
function readPskId(reader: ByteReader): Uint8Array | undefined {
  const type = reader.uint8();
  if (type !== PSK_EXTERNAL && type !== PSK_RESUMPTION) throw new MlsFormatError('The MLS PSK type is not known.');
  if (type === PSK_RESUMPTION) {
    const usage = reader.uint8();
    if (usage < 1 || usage > 3) throw new MlsFormatError('The MLS resumption PSK usage is not known.');
  }
  const id = reader.opaque();
  if (type === PSK_RESUMPTION) reader.uint64();
  reader.skipOpaque(); // psk_nonce
  return type === PSK_EXTERNAL ? id : undefined;
}

/** Skips a ReInit (RFC 9420 section 12.1.5). */
function skipReinit(reader: ByteReader): void {
  reader.skipOpaque();
  reader.uint16();
  reader.uint16();
  readExtensions(reader);
}

/**
 * Reads a Proposal (RFC 9420 section 12.1). Refuses unknown types, because their length is unknown. Clients can send
 * them in a PrivateMessage.
 */
export function readProposal(reader: ByteReader): ProposalShape {
  switch (reader.uint16()) {
    case PROPOSAL_TYPE.add:
      return { type: 'add', identity: readKeyPackageStructure(reader).leafNode.basicIdentity };
    case PROPOSAL_TYPE.update:
      return { type: 'update', identity: readLeafNode(reader, LEAF_NODE_SOURCE.update).basicIdentity };
    case PROPOSAL_TYPE.remove:
      return { type: 'remove', leafIndex: reader.uint32() };
    case PROPOSAL_TYPE.psk:
      return { type: 'psk', externalId: readPskId(reader) };
    case PROPOSAL_TYPE.reinit:
      skipReinit(reader);
      return { type: 'reinit' };
    case PROPOSAL_TYPE.externalInit:
      reader.skipOpaque();
      return { type: 'externalInit' };
    case PROPOSAL_TYPE.groupContextExtensions:
      readExtensions(reader);
      return { type: 'groupContextExtensions' };
    default:
      throw new MlsFormatError('The MLS proposal type is not known; send it as a PrivateMessage.');
  }
}

/** Reads an UpdatePath (RFC 9420 section 7.6) and returns its leaf. */
function readUpdatePath(reader: ByteReader): LeafNode {
  const leaf = readLeafNode(reader, LEAF_NODE_SOURCE.commit);
  reader.vector(() => {
    reader.skipOpaque();
    reader.vector(() => {
      reader.skipOpaque();
      reader.skipOpaque();
    });
  });
  return leaf;
}

function readCommittedProposal(reader: ByteReader): CommittedProposal {
  const kind = reader.uint8();
  if (kind === PROPOSAL_BY_REFERENCE) return { type: 'reference', ref: reader.hashReference() };
  if (kind === PROPOSAL_BY_VALUE) return readProposal(reader);
  throw new MlsFormatError('An MLS commit holds neither a proposal nor a reference.');
}

/** Reads a Commit (RFC 9420 section 12.4). */
export function readCommitShape(reader: ByteReader): CommitShape {
  const proposals: CommittedProposal[] = [];
  reader.vector(() => {
    if (proposals.push(readCommittedProposal(reader)) > limits.proposalsPerCommitMax) {
      throw new MlsFormatError('The MLS commit has more than 6000 proposals. Make several commits.');
    }
  });
  const pathLeaf = reader.isPresent() ? readUpdatePath(reader) : undefined;
  return { pathLeaf, proposals };
}
