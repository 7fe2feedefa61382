import type { Hono } from 'hono';

export interface ServiceIdentity {
  readonly serviceDid: string;
  /** Where clients reach the service, without a path. */
  readonly publicUrl: string;
}

/** The service's own DID document: how a PDS or a client that knows `did:web:…#atproto_mls` finds the endpoint. */
function didDocument({ serviceDid, publicUrl }: ServiceIdentity): object {
  return {
    '@context': ['https://www.w3.org/ns/did/v1'],
    id: serviceDid,
    service: [{ id: '#atproto_mls', type: 'AtprotoMlsService', serviceEndpoint: publicUrl.replace(/\/+$/, '') }],
  };
}

/** `/.well-known/did.json`, for a `did:web` only: a `did:plc` has its document in the directory. */
export function mountDidDocument(app: Hono, identity: ServiceIdentity): void {
  if (!identity.serviceDid.startsWith('did:web:')) return;
  const document = didDocument(identity);
  app.get('/.well-known/did.json', (c) => c.json(document, 200, { 'cache-control': 'public, max-age=300' }));
}
