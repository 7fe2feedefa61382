import { ByteReader } from '../encoding/byte-reader.ts';
import { type GroupInfoStructure, readGroupInfoBody } from '../group-info/group-info.ts';
import { type CommitShape, type ProposalShape, readCommitShape, readProposal } from './handshake-structure.ts';
import { expectMls10, readKeyPackageStructure } from '../key-packages/key-package-structure.ts';
import { MlsFormatError } from '../encoding/mls-format-error.ts';
import { readWelcomeBody, type WelcomeHeader } from './welcome.ts';
import { WIRE_FORMAT } from '../encoding/wrapped-structure.ts';

export type ContentType = 'application' | 'proposal' | 'commit';
export type SenderType = 'member' | 'external' | 'new_member_proposal' | 'new_member_commit';

/** The fields of a PublicMessage (RFC 9420 section 6.2) that the service uses. */
export interface PublicMessageHeader {
  readonly wireFormat: 'publicMessage';
  readonly groupId: Uint8Array;
  readonly epoch: number;
  readonly contentType: ContentType;
  readonly senderType: SenderType;
  /** Undefined unless `senderType` is `member`. */
  readonly senderLeafIndex: number | undefined;
  /** Undefined unless `contentType` is `commit`. */
  readonly commit: CommitShape | undefined;
  /** Undefined unless `contentType` is `proposal`. */
  readonly proposal: ProposalShape | undefined;
  /** The AuthenticatedContent (RFC 9420 section 6.1), from which a ProposalRef is computed. A view on the input. */
  readonly authenticatedContent: Uint8Array;
}

/** The cleartext fields of a PrivateMessage (RFC 9420 section 6.3) that the service uses. */
export interface PrivateMessageHeader {
  readonly wireFormat: 'privateMessage';
  readonly groupId: Uint8Array;
  readonly epoch: number;
  readonly contentType: ContentType;
}

export interface WelcomeMessageHeader extends WelcomeHeader {
  readonly wireFormat: 'welcome';
}

export interface GroupInfoMessageHeader extends GroupInfoStructure {
  readonly wireFormat: 'groupInfo';
}

export interface KeyPackageMessageHeader {
  readonly wireFormat: 'keyPackage';
  readonly cipherSuite: number;
}

/** The cleartext fields of an MLSMessage. Byte arrays are views on the input. */
export type MlsMessageHeader =
  | PublicMessageHeader
  | PrivateMessageHeader
  | WelcomeMessageHeader
  | GroupInfoMessageHeader
  | KeyPackageMessageHeader;

const CONTENT_TYPES = new Map<number, ContentType>([
  [1, 'application'],
  [2, 'proposal'],
  [3, 'commit'],
]);

const SENDER_TYPES = new Map<number, SenderType>([
  [1, 'member'],
  [2, 'external'],
  [3, 'new_member_proposal'],
  [4, 'new_member_commit'],
]);

/** The only content type that each non-member sender type may send (RFC 9420 sections 6 and 12.1.8). */
const NON_MEMBER_CONTENT: Readonly<Record<Exclude<SenderType, 'member'>, ContentType>> = {
  external: 'proposal',
  new_member_proposal: 'proposal',
  new_member_commit: 'commit',
};

function readContentType(reader: ByteReader): ContentType {
  const contentType = CONTENT_TYPES.get(reader.uint8());
  if (contentType === undefined) throw new MlsFormatError('The MLS content type is not known.');
  return contentType;
}

function readSenderType(reader: ByteReader): SenderType {
  const senderType = SENDER_TYPES.get(reader.uint8());
  if (senderType === undefined) throw new MlsFormatError('The MLS sender type is not known.');
  return senderType;
}

const wireFormatSizeBytes = 2;

function readPublicMessage(reader: ByteReader): PublicMessageHeader {
  const start = reader.offset - wireFormatSizeBytes;
  const groupId = reader.opaque();
  const epoch = reader.epoch();
  const senderType = readSenderType(reader);
  const index = senderType === 'member' || senderType === 'external' ? reader.uint32() : undefined;
  reader.skipOpaque(); // authenticated_data
  const contentType = readContentType(reader);
  if (senderType !== 'member' && contentType !== NON_MEMBER_CONTENT[senderType]) {
    throw new MlsFormatError('This MLS sender type may not send this content type.');
  }
  if (contentType === 'application') reader.skipOpaque();
  const proposal = contentType === 'proposal' ? readProposal(reader) : undefined;
  const commit = contentType === 'commit' ? readCommitShape(reader) : undefined;
  reader.skipOpaque(); // signature
  if (contentType === 'commit') reader.skipOpaque(); // confirmation_tag
  const authenticatedContent = reader.since(start);
  if (senderType === 'member') reader.skipOpaque(); // membership_tag
  const senderLeafIndex = senderType === 'member' ? index : undefined;
  const content = { groupId, epoch, contentType, senderType, senderLeafIndex, commit, proposal };
  return { wireFormat: 'publicMessage', ...content, authenticatedContent };
}

function readPrivateMessage(reader: ByteReader): PrivateMessageHeader {
  const groupId = reader.opaque();
  const epoch = reader.epoch();
  const contentType = readContentType(reader);
  reader.skipOpaque(); // authenticated_data
  reader.skipOpaque(); // encrypted_sender_data
  reader.skipOpaque(); // ciphertext
  return { wireFormat: 'privateMessage', groupId, epoch, contentType };
}

function readBody(reader: ByteReader): MlsMessageHeader {
  switch (reader.uint16()) {
    case WIRE_FORMAT.publicMessage:
      return readPublicMessage(reader);
    case WIRE_FORMAT.privateMessage:
      return readPrivateMessage(reader);
    case WIRE_FORMAT.welcome:
      return { wireFormat: 'welcome', ...readWelcomeBody(reader) };
    case WIRE_FORMAT.groupInfo:
      return { wireFormat: 'groupInfo', ...readGroupInfoBody(reader) };
    case WIRE_FORMAT.keyPackage:
      return { wireFormat: 'keyPackage', cipherSuite: readKeyPackageStructure(reader).cipherSuite };
    default:
      throw new MlsFormatError('The MLS wire format is not known.');
  }
}

/**
 * Reads one MLSMessage (RFC 9420 section 6) of any cipher suite that fills `bytes` exactly. Reads only the structure,
 * and checks no signature.
 * @throws MlsFormatError on any other input, and no other error.
 */
export function readMlsMessage(bytes: Uint8Array): MlsMessageHeader {
  const reader = new ByteReader(bytes);
  expectMls10(reader);
  const header = readBody(reader);
  reader.expectEnd();
  return header;
}

/** Returns the size of the MLSMessage at the start of `bytes`, or undefined if there is none. */
export function mlsMessageSizeBytes(bytes: Uint8Array): number | undefined {
  const reader = new ByteReader(bytes);
  try {
    expectMls10(reader);
    readBody(reader);
    return reader.offset;
  } catch (error) {
    if (error instanceof MlsFormatError) return undefined;
    throw error;
  }
}
