import { DISALLOWED_TLDS } from '@atproto/syntax';

/** From where DID documents may come; `private` also allows loopback and ports, for tests. */
export type IdentityNetwork = 'public' | 'private';

const plc = /^did:plc:[a-z2-7]{24}$/;
const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
/** A public name in lower case: its last label starts with a letter, which every spelling of an IP address lacks. */
const webHost = new RegExp(`^did:web:((?:${label}[.])+(?=[a-z])${label})$`);
const webLoopback = /^did:web:localhost(?:%3A[1-9]\d{0,4})?$/;
const hostLengthMax = 253;
/** RFC 6761: never in the public DNS. */
const reservedNames = [...DISALLOWED_TLDS, '.test'];

/**
 * The method of a bare DID whose document this service would fetch: did:plc, or did:web with a host and nothing else (no
 * path, port, userinfo, escape, IP address). Undefined for all others.
 */
export function resolvableMethod(did: string, network: IdentityNetwork): 'plc' | 'web' | undefined {
  if (plc.test(did)) return 'plc';
  if (network === 'private' && webLoopback.test(did)) return 'web';
  const host = webHost.exec(did)?.[1];
  if (host === undefined || host.length > hostLengthMax) return undefined;
  return reservedNames.some((name) => host.endsWith(name)) ? undefined : 'web';
}
