/** An entry of the `service` list of a DID document (W3C DID Core section 5.4), with the fields that are read here. */
export interface DocumentService {
  readonly id: string;
  readonly type: string | readonly string[];
  readonly serviceEndpoint: unknown;
}

/** Services beyond this number are ignored, because documents list only one or two. */
const servicesRead = 32;
const endpointLengthMax = 512;

/**
 * Returns the origin of the person's PDS, or undefined if the document has no http(s) URL for it. The PDS is the
 * service `#atproto_pds` of type `AtprotoPersonalDataServer`.
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
