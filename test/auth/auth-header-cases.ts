import type { AuthErrorCode } from '#auth/auth-error.ts';

/** A request whose token is missing, duplicated, or in the wrong part of the request. */
export interface AuthHeaderCase {
  readonly name: string;
  /** InvalidRequest is status 400, sent before authentication; all others are 401. */
  readonly error: Extract<AuthErrorCode, 'AuthMissing' | 'BadJwt'> | 'InvalidRequest';
  /** `token` mints a valid token. */
  readonly sent: (token: () => string) => { headers: readonly string[]; search?: string; verb?: string };
}

type Lines = (token: () => string) => readonly string[];

function headers(name: string, error: AuthHeaderCase['error'], lines: Lines): AuthHeaderCase {
  return { name, error, sent: (token) => ({ headers: lines(token) }) };
}

function twice(name: string, lines: Lines): AuthHeaderCase {
  return headers(name, 'InvalidRequest', lines);
}

function search(name: string, text: (token: string) => string): AuthHeaderCase {
  return { name, error: 'AuthMissing', sent: (token) => ({ headers: [], search: text(token()) }) };
}

export const authHeaderCases: readonly AuthHeaderCase[] = [
  headers('no header', 'AuthMissing', () => []),
  headers('a header without a value', 'AuthMissing', () => ['Authorization:']),
  headers('another scheme', 'AuthMissing', () => ['Authorization: Basic YTpi']),
  headers('the scheme DPoP', 'AuthMissing', (token) => [`Authorization: DPoP ${token()}`]),
  headers('a scheme that begins like ours', 'AuthMissing', (token) => [`Authorization: BearerX ${token()}`]),
  headers('no scheme', 'AuthMissing', (token) => [`Authorization: ${token()}`]),
  headers('a scheme without a token', 'BadJwt', () => ['Authorization: Bearer']),
  headers('a scheme and spaces', 'BadJwt', () => ['Authorization: Bearer   ']),
  headers('a tab behind the scheme', 'BadJwt', (token) => [`Authorization: Bearer\t${token()}`]),
  headers('two tokens', 'BadJwt', (token) => [`Authorization: Bearer ${token()} ${token()}`]),
  headers('two tokens with a comma', 'BadJwt', (token) => [`Authorization: Bearer ${token()},${token()}`]),
  headers('two schemes in one header', 'BadJwt', (token) => [`Authorization: Bearer ${token()}, Bearer ${token()}`]),
  headers('a token in quotes', 'BadJwt', (token) => [`Authorization: Bearer "${token()}"`]),
  headers('a token as a parameter', 'BadJwt', (token) => [`Authorization: Bearer token=${token()}`]),
  twice('two headers', (token) => [`Authorization: Bearer ${token()}`, `Authorization: Bearer ${token()}`]),
  twice('the same header twice', (token) => Array<string>(2).fill(`Authorization: Bearer ${token()}`)),
  twice('a good header before a bad one', (token) => [`Authorization: Bearer ${token()}`, 'Authorization: Bearer x']),
  twice('a bad header before a good one', (token) => ['Authorization: Bearer x', `Authorization: Bearer ${token()}`]),
  twice('an empty header before a good one', (token) => ['Authorization:', `authorization: Bearer ${token()}`]),
  twice('headers in two cases', (token) => [`AUTHORIZATION: Bearer ${token()}`, `authorization: Bearer ${token()}`]),
  headers('a folded header', 'InvalidRequest', (token) => ['Authorization: Bearer', ` ${token()}`]),
  headers('a space before the colon', 'InvalidRequest', (token) => [`Authorization : Bearer ${token()}`]),
  headers('a token in a cookie', 'AuthMissing', (token) => [`Cookie: Authorization=${token()}; token=${token()}`]),
  headers('a header of another name', 'AuthMissing', (token) => [`X-Authorization: Bearer ${token()}`]),
  headers('a header for proxies', 'AuthMissing', (token) => [`Proxy-Authorization: Bearer ${token()}`]),
  headers('a header of DPoP alone', 'AuthMissing', (token) => [`DPoP: ${token()}`]),
  headers('a name with an underscore', 'AuthMissing', (token) => [`HTTP_AUTHORIZATION: Bearer ${token()}`]),
  search('a token as access_token', (token) => `?access_token=${token}`),
  search('a token as token', (token) => `?token=${token}`),
  search('a token as a ticket', (token) => `?ticket=${token}`),
  search('a token as authorization', (token) => `?authorization=Bearer%20${token}`),
];
