import { encode } from '@atproto/lex-cbor';
import type { LexValue } from '@atproto/lex-schema';
import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';

/** Methods that accept an idempotency key for the call, or for each item of the call. */
export type IdempotentMethod =
  | 'addMembers'
  | 'commit'
  | 'createConvo'
  | 'createInvite'
  | 'processExternalCommit'
  | 'publishKeyPackage'
  | 'publishKeyPackages'
  | 'removeMember'
  | 'reportMember'
  | 'warnMember';

/** A call, or an item of a call, that a client may repeat. */
export interface IdempotentCall {
  readonly caller: Caller;
  readonly method: IdempotentMethod;
  /** The key that the client sent. If it is missing or empty, the result is not stored. */
  readonly key: string | undefined;
  /** All values that the effect of the call depends on, as plain data of text, integers, bytes and lists. */
  readonly input: object;
}

/** An idempotency key and the input of its call, as the database stores them. */
export interface KeyDigest {
  /** Pseudonym of the key. It depends on the caller and the method, so that the keys of two callers never collide. */
  readonly digest: Buffer;
  readonly inputDigest: Buffer;
}

export function keyDigestOf(privacy: Privacy, call: IdempotentCall & { readonly key: string }): KeyDigest {
  const digest = privacy.pseudonym('idempotency-key', [call.method, call.caller.did], call.key);
  // DAG-CBOR encodes equal data as equal bytes, regardless of the order of fields.
  const inputDigest = privacy.pseudonym('idempotency-input', [digest], encode(call.input as LexValue));
  return { digest, inputDigest };
}
