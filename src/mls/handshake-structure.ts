import type { ByteReader } from './byte-reader.ts';
import { readKeyPackageStructure } from './key-package-structure.ts';
import { LEAF_NODE_SOURCE, readExtensions, readLeafNode } from './leaf-node.ts';
import type { LeafNode } from './leaf-node.ts';
import { MlsFormatError } from './mls-format-error.ts';

/** RFC 9420 section 12.1 and the registry of section 17.4. */
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

/** More are not kept: an external commit needs one for its invite. */
const EXTERNAL_PSK_IDS_MAX = 8;

/** What a Commit in clear tells about its kind. */
export interface CommitShape {
  /** The committer's new leaf; absent in a commit without a path. */
  readonly pathLeaf: LeafNode | undefined;
  readonly externalInitCount: number;
  readonly removeCount: number;
  /** Proposals that are neither ExternalInit, Remove nor PreSharedKey, those by reference included. */
  readonly otherProposalCount: number;
  /** Ids of external PSKs (section 8.4), the first few; views on the input. */
  readonly externalPskIds: readonly Uint8Array[];
}

/** PreSharedKeyID, section 8.4. @returns the id of an external PSK. */
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

/** ReInit, section 12.1.5. */
function skipReinit(reader: ByteReader): void {
  reader.skipOpaque();
  reader.uint16();
  reader.uint16();
  readExtensions(reader);
}

/**
 * Walks a Proposal, section 12.1, and returns its type. An unknown type has no length in clear, so its end cannot be
 * found: it can only travel inside a PrivateMessage.
 * @param onExternalPsk gets the id of an external PSK.
 */
export function walkProposal(reader: ByteReader, onExternalPsk?: (id: Uint8Array) => void): number {
  const type = reader.uint16();
  switch (type) {
    case PROPOSAL_TYPE.add:
      readKeyPackageStructure(reader);
      return type;
    case PROPOSAL_TYPE.update:
      readLeafNode(reader, LEAF_NODE_SOURCE.update);
      return type;
    case PROPOSAL_TYPE.remove:
      reader.uint32();
      return type;
    case PROPOSAL_TYPE.psk: {
      const id = readPskId(reader);
      if (id !== undefined) onExternalPsk?.(id);
      return type;
    }
    case PROPOSAL_TYPE.reinit:
      skipReinit(reader);
      return type;
    case PROPOSAL_TYPE.externalInit:
      reader.skipOpaque();
      return type;
    case PROPOSAL_TYPE.groupContextExtensions:
      readExtensions(reader);
      return type;
    default:
      throw new MlsFormatError('The MLS proposal type is not known; send it as a PrivateMessage.');
  }
}

/** UpdatePath, section 7.6. */
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

/** Walks a Commit, section 12.4, to its end. */
export function walkCommit(reader: ByteReader): CommitShape {
  const counts = { externalInitCount: 0, removeCount: 0, otherProposalCount: 0 };
  const externalPskIds: Uint8Array[] = [];
  const keepPskId = (id: Uint8Array): void => {
    if (externalPskIds.length < EXTERNAL_PSK_IDS_MAX) externalPskIds.push(id);
  };
  reader.vector(() => {
    const kind = reader.uint8();
    if (kind === PROPOSAL_BY_REFERENCE) {
      reader.skipOpaque();
      counts.otherProposalCount += 1;
    } else if (kind === PROPOSAL_BY_VALUE) {
      const type = walkProposal(reader, keepPskId);
      if (type === PROPOSAL_TYPE.externalInit) counts.externalInitCount += 1;
      else if (type === PROPOSAL_TYPE.remove) counts.removeCount += 1;
      else if (type !== PROPOSAL_TYPE.psk) counts.otherProposalCount += 1;
    } else {
      throw new MlsFormatError('An MLS commit holds neither a proposal nor a reference.');
    }
  });
  const pathLeaf = reader.isPresent() ? readUpdatePath(reader) : undefined;
  return { ...counts, externalPskIds, pathLeaf };
}
