import type { ByteReader } from './byte-reader.ts';
import { readKeyPackageStructure } from './key-package-structure.ts';
import { LEAF_NODE_SOURCE, readExtensions, readLeafNode } from './leaf-node.ts';
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

/** What a Commit in clear tells about its kind. */
export interface CommitShape {
  readonly hasPath: boolean;
  readonly externalInitCount: number;
}

/** PreSharedKeyID, section 8.4. */
function skipPskId(reader: ByteReader): void {
  const type = reader.uint8();
  if (type !== PSK_EXTERNAL && type !== PSK_RESUMPTION) throw new MlsFormatError('The MLS PSK type is not known.');
  if (type === PSK_RESUMPTION) {
    const usage = reader.uint8();
    if (usage < 1 || usage > 3) throw new MlsFormatError('The MLS resumption PSK usage is not known.');
  }
  reader.skipOpaque();
  if (type === PSK_RESUMPTION) reader.uint64();
  reader.skipOpaque();
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
 */
export function walkProposal(reader: ByteReader): number {
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
    case PROPOSAL_TYPE.psk:
      skipPskId(reader);
      return type;
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
function skipUpdatePath(reader: ByteReader): void {
  readLeafNode(reader, LEAF_NODE_SOURCE.commit);
  reader.vector(() => {
    reader.skipOpaque();
    reader.vector(() => {
      reader.skipOpaque();
      reader.skipOpaque();
    });
  });
}

/** Walks a Commit, section 12.4, to its end. */
export function walkCommit(reader: ByteReader): CommitShape {
  let externalInitCount = 0;
  reader.vector(() => {
    const kind = reader.uint8();
    if (kind === PROPOSAL_BY_REFERENCE) {
      reader.skipOpaque();
    } else if (kind === PROPOSAL_BY_VALUE) {
      if (walkProposal(reader) === PROPOSAL_TYPE.externalInit) externalInitCount += 1;
    } else {
      throw new MlsFormatError('An MLS commit holds neither a proposal nor a reference.');
    }
  });
  const hasPath = reader.isPresent();
  if (hasPath) skipUpdatePath(reader);
  return { hasPath, externalInitCount };
}
