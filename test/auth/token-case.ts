import type { AuthErrorCode } from '#auth/auth-error.ts';
import type { TokenFixture } from './token-fixture.ts';

/** A reference verifier. */
export type Oracle = 'atproto' | 'atcute';

/** A token that must be refused. */
export interface TokenCase {
  readonly name: string;
  readonly error: AuthErrorCode;
  readonly token: (fixture: TokenFixture) => string;
  /** The HTTP response, if the request is refused before its token is read. */
  readonly http?: { readonly status: number; readonly error: string };
  /** The reference verifiers that accept the token, with the reason for which it is refused here. */
  readonly stricterThan?: Partial<Readonly<Record<Oracle, ReasonName>>>;
}

/** The optional fields of a case. */
export type CaseOptions = Omit<TokenCase, 'name' | 'error' | 'token'>;

/** Returns the case of a token that must be refused with `error`. */
export function refused(
  error: AuthErrorCode,
  name: string,
  token: TokenCase['token'],
  more: CaseOptions = {},
): TokenCase {
  return { name, error, token, ...more };
}

/** The reasons for refusing tokens that a reference verifier accepts. */
export const reasons = {
  canonical: 'A token has one text: another base64url of the same bytes is refused.',
  unambiguous:
    'All parsers must give the same value: no duplicate claims, no key with a special meaning in JavaScript.',
  utf8: 'A token is UTF-8 without a byte order mark.',
  critical: 'RFC 7515 section 4.1.11: headers listed in `crit` must be supported, and none is.',
  ownKey: "Headers that name or contain a key are refused, because only the issuer's document names the key.",
  typ: 'Only `JWT`, or none: a token of another type is not a service token.',
  algorithm: "The header's algorithm must be one of the two supported ones, and that of the key.",
  kid: 'A `kid` must name a key of the document.',
  lifetime: "At most five minutes from `iat` to `exp`, and from the server's time (with leeway) to `exp`.",
  future: "`iat` and `nbf` may be later than the server's time by the leeway only.",
  numbers: 'Times are whole numbers of seconds.',
  expired: 'Expiry is exact: the leeway is for issuers whose clock is ahead.',
  jti: 'A `jti` of 8 to 128 characters is required, so that each token is accepted once.',
  issuer: 'The issuer is a bare did:plc or a did:web of a host name, for which a document can be fetched safely.',
  size: 'A token has at most 4,096 characters.',
} as const;

export type ReasonName = keyof typeof reasons;
