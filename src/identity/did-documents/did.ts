import { DISALLOWED_TLDS } from '@atproto/syntax';

/** The network from which DID documents are fetched. `private` also allows loopback addresses and ports, for tests. */
export type IdentityNetwork = 'public' | 'private';

const plc = /^did:plc:[a-z2-7]{24}$/;
const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
/**
 * Matches `did:web:` with a public host name in lower case. The last label must start with a letter, which excludes
 * every spelling of an IP address.
 */
const webHost = new RegExp(`^did:web:((?:${label}[.])+(?=[a-z])${label})$`);
const webLoopback = /^did:web:localhost(?:%3A[1-9]\d{0,4})?$/;
const hostLengthMax = 253;
/** Names that are never in the public DNS (RFC 6761). */
const reservedNames = [...DISALLOWED_TLDS, '.test'];

/**
 * Returns the method of a DID whose document this service can fetch, or undefined for every other DID. The service
 * fetches documents of did:plc, and of did:web with a host name but no path, port, userinfo or escapes.
 */
export function resolvableMethod(did: string, network: IdentityNetwork): 'plc' | 'web' | undefined {
  if (plc.test(did)) return 'plc';
  if (network === 'private' && webLoopback.test(did)) return 'web';
  const host = webHost.exec(did)?.[1];
  if (host === undefined || host.length > hostLengthMax) return undefined;
  return reservedNames.some((name) => host.endsWith(name)) ? undefined : 'web';
}
