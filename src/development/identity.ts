import { ECDH } from 'node:crypto';
import { exportJWK, generateKeyPair, importJWK, SignJWT } from 'jose';
import { base32 } from 'multiformats/bases/base32';
import { base58btc } from 'multiformats/bases/base58';
import { varint } from 'multiformats';
import { z } from 'zod';
import type { Clock } from '#platform/clock.ts';
import { newSecret, newUuid } from '#platform/ids.ts';

const coordinate = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

/** The form of an identity file. */
export const identitySchema = z.object({
  /** Lower-case letters, digits and hyphens, so that it is a label of the handle. */
  name: z.string().regex(/^[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?$/),
  did: z.string().regex(/^did:plc:[a-z2-7]{24}$/),
  /** A private P-256 key as JWK (RFC 7518 section 6.2). */
  privateKey: z.object({
    kty: z.literal('EC'),
    crv: z.literal('P-256'),
    x: coordinate,
    y: coordinate,
    d: coordinate,
  }),
});

/** A person who exists only on this development server. */
export type DevelopmentIdentity = z.infer<typeof identitySchema>;

/** A DID document (W3C DID Core) as a did:plc directory returns it. A development identity has no PDS. */
export interface DevelopmentDocument {
  readonly '@context': readonly string[];
  readonly id: string;
  readonly alsoKnownAs: readonly string[];
  readonly verificationMethod: readonly {
    readonly id: string;
    readonly type: 'Multikey';
    readonly controller: string;
    readonly publicKeyMultibase: string;
  }[];
  readonly service: readonly [];
}

export function isIdentityName(name: string): boolean {
  return identitySchema.shape.name.safeParse(name).success;
}

/** Creates a person with a random did:plc, which is in no public directory, and a new key. */
export async function createIdentity(name: string): Promise<DevelopmentIdentity> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  // 15 random bytes are 24 characters of base32, which is the form of a did:plc.
  const did = `did:plc:${base32.encode(newSecret(15)).slice(1)}`;
  return identitySchema.parse({ name, did, privateKey: await exportJWK(privateKey) });
}

export function handleOf({ name }: DevelopmentIdentity): string {
  return `${name}.test`;
}

/** Returns the DID document, with the public key as Multikey (multicodec p256-pub). */
export function documentOf(identity: DevelopmentIdentity): DevelopmentDocument {
  const { did, privateKey } = identity;
  const point = Buffer.concat([Buffer.from([4]), ...[privateKey.x, privateKey.y].map(fromBase64Url)]);
  const compressed = ECDH.convertKey(point, 'prime256v1', undefined, undefined, 'compressed') as Buffer;
  const prefix = varint.encodeTo(0x12_00, new Uint8Array(2));
  const publicKeyMultibase = base58btc.encode(Buffer.concat([prefix, compressed]));
  return {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
    id: did,
    alsoKnownAs: [`at://${handleOf(identity)}`],
    verificationMethod: [{ id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase }],
    service: [],
  };
}

const tokenLifetimeSeconds = 60;

/** Signs a token for one call of `method`, as a PDS does in com.atproto.server.getServiceAuth. */
export async function signServiceToken(
  { did, privateKey }: DevelopmentIdentity,
  call: { readonly audience: string; readonly method: string; readonly clock: Clock },
): Promise<string> {
  const nowSeconds = Math.floor(call.clock.nowMs() / 1_000);
  return new SignJWT({ lxm: call.method })
    .setProtectedHeader({ typ: 'JWT', alg: 'ES256' })
    .setIssuer(did)
    .setAudience(call.audience)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + tokenLifetimeSeconds)
    .setJti(newUuid())
    .sign(await importJWK(privateKey, 'ES256'));
}

function fromBase64Url(text: string): Buffer {
  return Buffer.from(text, 'base64url');
}
