import { createPrivateKey, randomUUID, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ClientIdentity } from '../../bin/client-check/session.ts';

/** Claims that a test sets wrongly. */
export type TokenClaims = Readonly<Partial<Record<'aud' | 'lxm' | 'jti', string> & Record<'iat' | 'exp', number>>>;

const base64Url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signs a service token for one call with a key in PEM, as a PDS does. */
export function signToken(
  { did, serviceDid }: ClientIdentity,
  pem: string,
  nsid: string,
  claims?: TokenClaims,
): string {
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const own = { iss: did, aud: serviceDid, lxm: nsid, jti: randomUUID(), iat: nowSeconds, exp: nowSeconds + 60 };
  const input = `${base64Url({ typ: 'JWT', alg: 'ES256' })}.${base64Url({ ...own, ...claims })}`;
  const signature = sign('sha256', Buffer.from(input), { key: createPrivateKey(pem), dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

/** A token with the key that the file has now. */
export async function currentToken(identity: ClientIdentity, nsid: string): Promise<string> {
  return signToken(identity, await readFile(identity.keyFile, 'utf8'), nsid);
}
