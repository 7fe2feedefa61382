/** One service of a DID document (W3C DID Core section 5.4), with the fields that the service uses. */
export interface DocumentService {
  readonly id: string;
  readonly type: string | readonly string[];
  readonly serviceEndpoint: unknown;
}

/** Documents list one or two services; services beyond this number are ignored. */
const servicesRead = 32;
const endpointLengthMax = 512;

/**
 * Returns the origin of the person's PDS, the service `#atproto_pds` of type `AtprotoPersonalDataServer`, or undefined when the
 * document has none with an http(s) URL.
 */
export function readPdsEndpoint(did: string, services: readonly DocumentService[]): string | undefined {
  const pds = services
    .slice(0, servicesRead)
    .find(
      ({ id, type }) => (id === '#atproto_pds' || id === `${did}#atproto_pds`) && type === 'AtprotoPersonalDataServer',
    );
  const endpoint = pds?.serviceEndpoint;
  if (typeof endpoint !== 'string' || endpoint.length > endpointLengthMax || !URL.canParse(endpoint)) return undefined;
  const { origin, protocol } = new URL(endpoint);
  return protocol === 'https:' || protocol === 'http:' ? origin : undefined;
}
