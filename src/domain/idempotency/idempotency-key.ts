import { encode } from '@atproto/lex-cbor';
import type { LexValue } from '@atproto/lex-schema';
import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';

/** Methods whose callers may send an idempotency key with a call, or with each item of one. */
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

/** A call, or an item of one, that a client may repeat. */
export interface IdempotentCall {
  readonly caller: Caller;
  readonly method: IdempotentMethod;
  /** As the client sent it; without one, or with an empty one, nothing is remembered. */
  readonly key: string | undefined;
  /** Everything that the effect depends on: plain data of text, integers, bytes and lists. */
  readonly input: object;
}

/** A key as it stands in the database. */
export interface KeyDigest {
  /** One caller's key for one method: nobody meets the key of somebody else. */
  readonly digest: Buffer;
  readonly inputDigest: Buffer;
}

export function keyDigestOf(privacy: Privacy, call: IdempotentCall & { readonly key: string }): KeyDigest {
  const digest = privacy.pseudonym('idempotency-key', [call.method, call.caller.did], call.key);
  // DAG-CBOR writes equal data as equal bytes, whatever the order of its fields.
  const inputDigest = privacy.pseudonym('idempotency-input', [digest], encode(call.input as LexValue));
  return { digest, inputDigest };
}
