import { decodeMlsMessage, type LeafNode, type MLSMessage } from 'ts-mls';

/** Decodes the MLSMessage that fills `bytes`. */
export function decodeMessage(bytes: Uint8Array): MLSMessage {
  const decoded = decodeMlsMessage(bytes, 0);
  if (decoded === undefined || decoded[1] !== bytes.length) throw new TypeError('not one MLSMessage');
  return decoded[0];
}

/** Returns the DID in the Basic credential of a leaf, or an empty string. */
export function didOf(leaf: LeafNode): string {
  if (leaf.credential.credentialType !== 'basic') return '';
  return 'identity' in leaf.credential ? new TextDecoder().decode(leaf.credential.identity) : '';
}
