import { newSecret } from '#platform/ids.ts';

const wireFormats = { publicMessage: 1, privateMessage: 2, welcome: 3 } as const;
const contentTypes = { application: 1, commit: 3 } as const;
const proposalTypes = { remove: 3, psk: 4, externalInit: 6 } as const;
const newMemberCommit = 4;
const byValue = 1;
const envelopeHeadSizeBytes = 4;

/**
 * Makes a PrivateMessage with a commit that ends `epoch`, with valid framing and a random ciphertext. For tests over hundreds of epochs,
 * for which real commits would take minutes.
 */
export function craftCommit(groupId: Uint8Array, epoch: number): Buffer {
  return craftPrivateMessage(groupId, epoch, contentTypes.commit);
}

export interface CraftedJoin {
  readonly groupId: Uint8Array;
  readonly epoch: number;
  /** The DID in the credential of the new leaf. */
  readonly did: string;
  /** Ids of external PSKs. */
  readonly pskIds?: readonly Uint8Array[];
  /** Number of removed leaves. */
  readonly removes?: number;
}

/** Makes a PublicMessage with an external commit that ends `epoch` (RFC 9420 section 12.4.3.2), with random keys. */
export function craftExternalCommit({ groupId, epoch, did, pskIds = [], removes = 0 }: CraftedJoin): Buffer {
  const externalInit = [Buffer.of(byValue), uint16(proposalTypes.externalInit), opaque(newSecret(32))];
  const remove = Buffer.concat([Buffer.of(byValue), uint16(proposalTypes.remove), Buffer.alloc(4)]);
  const psks = pskIds.flatMap((id) => [
    Buffer.of(byValue),
    uint16(proposalTypes.psk),
    Buffer.of(1),
    opaque(id),
    opaque(newSecret(32)),
  ]);
  const proposals = Buffer.concat([...externalInit, ...psks, ...Array.from({ length: removes }, () => remove)]);
  const empty = opaque(Buffer.alloc(0));
  const leaf = [opaque(newSecret(32)), opaque(newSecret(32)), uint16(1), opaque(Buffer.from(did))];
  const capabilities = [empty, empty, empty, empty, empty];
  const source = [Buffer.of(3), empty, empty, opaque(newSecret(64))];
  return Buffer.concat([
    uint16(1),
    uint16(wireFormats.publicMessage),
    opaque(groupId),
    uint64(epoch),
    Buffer.of(newMemberCommit),
    empty,
    Buffer.of(contentTypes.commit),
    opaque(proposals),
    Buffer.of(1),
    ...leaf,
    ...capabilities,
    ...source,
    empty,
    opaque(newSecret(64)),
    opaque(newSecret(32)),
  ]);
}

/** Makes a framed application message in the padding envelope of exactly `bucketSizeBytes`. */
export function craftApplication(groupId: Uint8Array, epoch: number, bucketSizeBytes = 512): Buffer {
  const message = craftPrivateMessage(groupId, epoch, contentTypes.application);
  const padded = Buffer.alloc(bucketSizeBytes);
  padded.writeUInt32BE(message.length);
  message.copy(padded, envelopeHeadSizeBytes);
  return padded;
}

/** Makes a Welcome for the key packages `refs`, with random secrets (RFC 9420 section 12.4.3.1). */
export function craftWelcome(refs: readonly Uint8Array[], cipherSuite = 1): Buffer {
  const secrets = refs.flatMap((ref) => [opaque(ref), opaque(newSecret(32)), opaque(newSecret(48))]);
  return Buffer.concat([
    uint16(1),
    uint16(wireFormats.welcome),
    uint16(cipherSuite),
    opaque(Buffer.concat(secrets)),
    opaque(newSecret(64)),
  ]);
}

function craftPrivateMessage(groupId: Uint8Array, epoch: number, contentType: number): Buffer {
  return Buffer.concat([
    uint16(1),
    uint16(wireFormats.privateMessage),
    opaque(groupId),
    uint64(epoch),
    Buffer.of(contentType),
    opaque(Buffer.alloc(0)),
    opaque(newSecret(28)),
    opaque(newSecret(96)),
  ]);
}

export function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export function uint16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff);
}

/** Encodes `opaque<V>` of RFC 9420 section 2.1.2, up to 2^30 bytes. */
export function opaque(bytes: Uint8Array): Buffer {
  if (bytes.length < 64) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  if (bytes.length < 16_384) return Buffer.concat([uint16(0x4000 | bytes.length), bytes]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(0x8000_0000 + bytes.length);
  return Buffer.concat([head, bytes]);
}
