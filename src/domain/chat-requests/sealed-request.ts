import { padToBucket, unpadFromBucket } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { ChatRequestContent, HeldMessage } from './chat-request.ts';

/**
 * Minimum size in bytes that fits two did:plc DIDs, any preview and a group id, so that the size does not show which of
 * them are present.
 */
const contentSizeBytesMin = 2_000;
const keySizeBytesMax = 256;
const headerSizeBytes = 2 + keySizeBytesMax;

export function sealContent(privacy: Privacy, requestId: string, content: ChatRequestContent): Buffer {
  const text = Buffer.from(JSON.stringify(content), 'utf8');
  const spaces = Buffer.alloc(Math.max(0, contentSizeBytesMin - text.length), ' ');
  return privacy.seal('chat-request', [requestId], padToBucket(Buffer.concat([text, spaces])));
}

export function openContent(privacy: Privacy, requestId: string, sealed: Buffer): ChatRequestContent {
  const bytes = unpadFromBucket(privacy.unseal('chat-request', [requestId], sealed));
  return JSON.parse(bytes.toString('utf8')) as ChatRequestContent;
}

/**
 * Seals a held message. The ephemeral key always takes the space of the largest key, so that the size shows only the
 * size bucket of the ciphertext.
 */
export function sealHeldMessage(privacy: Privacy, row: readonly [string, number], message: HeldMessage): Buffer {
  const header = Buffer.alloc(headerSizeBytes);
  header.writeUInt16BE(message.ephemeralPublicKey?.length ?? 0);
  message.ephemeralPublicKey?.copy(header, 2);
  return privacy.seal('chat-request-message', row, Buffer.concat([header, message.ciphertext]));
}

export function openHeldMessage(privacy: Privacy, row: readonly [string, number], sealed: Buffer): HeldMessage {
  const bytes = privacy.unseal('chat-request-message', row, sealed);
  const keySizeBytes = bytes.readUInt16BE();
  return {
    ciphertext: bytes.subarray(headerSizeBytes),
    ephemeralPublicKey: keySizeBytes === 0 ? undefined : bytes.subarray(2, 2 + keySizeBytes),
  };
}
