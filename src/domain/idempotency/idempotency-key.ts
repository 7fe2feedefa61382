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
  /** As the client sent it; without a key, or with an empty one, the result is not stored. */
  readonly key: string | undefined;
  /** Everything that the effect depends on: plain data of text, integers, bytes and lists. */
  readonly input: object;
}

/** An idempotency key as stored in the database. */
export interface KeyDigest {
  /** Depends on caller and method, so the keys of two callers never collide. */
  readonly digest: Buffer;
  readonly inputDigest: Buffer;
}

export function keyDigestOf(privacy: Privacy, call: IdempotentCall & { readonly key: string }): KeyDigest {
  const digest = privacy.pseudonym('idempotency-key', [call.method, call.caller.did], call.key);
  // DAG-CBOR encodes equal data as equal bytes, regardless of the order of fields.
  const inputDigest = privacy.pseudonym('idempotency-input', [digest], encode(call.input as LexValue));
  return { digest, inputDigest };
}
