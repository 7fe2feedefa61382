import type { Hono } from 'hono';

export interface ServiceIdentity {
  readonly serviceDid: string;
  /** The URL under which clients reach the service, without a path. */
  readonly publicUrl: string;
}

/**
 * Returns the DID document of the service, in which a PDS or a client finds the endpoint of `did:web:…#atproto_mls`.
 */
function didDocument({ serviceDid, publicUrl }: ServiceIdentity): object {
  return {
    '@context': ['https://www.w3.org/ns/did/v1'],
    id: serviceDid,
    service: [{ id: '#atproto_mls', type: 'AtprotoMlsService', serviceEndpoint: publicUrl.replace(/\/+$/, '') }],
  };
}

/**
 * Mounts `/.well-known/did.json` if the DID of the service is a `did:web`. A `did:plc` has its document in the PLC
 * directory.
 */
export function mountDidDocument(app: Hono, identity: ServiceIdentity): void {
  if (!identity.serviceDid.startsWith('did:web:')) return;
  const document = didDocument(identity);
  app.get('/.well-known/did.json', (c) => c.json(document, 200, { 'cache-control': 'public, max-age=300' }));
}
