import type { AuthErrorCode } from '#auth/auth-error.ts';
import type { TokenScene } from './token-fixture.ts';

/** A reference verifier. */
export type Oracle = 'atproto' | 'atcute';

/** A token that must not be accepted. */
export interface TokenCase {
  readonly name: string;
  readonly error: AuthErrorCode;
  readonly token: (scene: TokenScene) => string;
  /** The answer over HTTP where the request ends before its token is looked at. */
  readonly http?: { readonly status: number; readonly error: string };
  /** Which reference verifiers accept it, and why we do not: one of `reasons`. */
  readonly stricterThan?: Partial<Readonly<Record<Oracle, ReasonName>>>;
}

/** Why a token that a reference verifier accepts is refused. */
export const reasons = {
  canonical: 'One token has one text: other base64url of the same bytes, other JSON of the same claims, is refused.',
  unambiguous: 'Two readers must understand the same: no claim twice, no key that means something to JavaScript.',
  utf8: 'A token is UTF-8 without a byte order mark.',
  critical: 'RFC 7515 section 4.1.11: what `crit` lists must be understood, and nothing is.',
  ownKey:
    "Headers that name or carry a key are refused, though nobody would follow them: only the issuer's document counts.",
  typ: 'Only `JWT`, or none: a token made for something else is not a service token.',
  algorithm: "The header's algorithm must be one of the two, and the one of the key.",
  kid: 'A `kid` must name a key of the document.',
  lifetime: 'At most five minutes from `iat` to `exp`, and no more than that ahead of our clock and its leeway.',
  future: '`iat` and `nbf` may be ahead of our clock by its leeway only.',
  numbers: 'Times are whole numbers of seconds.',
  expired: 'Expiry is exact: the leeway is for issuers whose clock is ahead.',
  jti: 'A `jti` of 8 to 128 characters is required, so that each token is good once.',
  issuer: 'The issuer is a bare did:plc or a did:web of a host name, for which a document can be fetched safely.',
  size: 'No honest token has more than 4,096 characters.',
} as const;

export type ReasonName = keyof typeof reasons;
