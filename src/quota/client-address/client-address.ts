import { limits } from '#platform/limits.ts';
import { createAddressList } from './address-lists.ts';
import { canonicalAddress, hostPrefixOf, networkOf } from './ip-address.ts';

/** Where a request comes from as far as the connection and the proxies that we trust say. */
export interface AddressEvidence {
  /** The other end of the connection. */
  readonly peer: string | undefined;
  /** What was sent under a header's name (in lower case), once for each time it was sent; undefined when it was not sent. */
  readonly header: (name: string) => readonly string[] | undefined;
}

export interface TrustedProxies {
  /** Networks as `address/bits`, or single addresses. */
  readonly cidrs: readonly string[];
  /** How many trusted proxies may stand one behind the other. */
  readonly hops: number;
  /** The only header that is ever read; every other than X-Forwarded-For carries exactly one address. */
  readonly header: string;
}

/** A client as it is counted. */
export interface ClientAddress {
  /** Canonical; for comparison with lists of networks only. */
  readonly address: string;
  /** The IPv4 address, or the /64 of the IPv6 address, since one subscriber owns a whole /64. */
  readonly prefix: string;
  /** The /48 of an IPv6 address, since one site owns that; undefined for IPv4. */
  readonly network: string | undefined;
}

export type FindClient = (evidence: AddressEvidence) => ClientAddress | undefined;

const listHeader = 'x-forwarded-for';

/**
 * Finds the client of a request. X-Forwarded-For is read from the right, one entry for each trusted proxy, so that what a client
 * wrote into it is not reached; any other header is one address, written by the nearest proxy. Only a trusted peer's header is read.
 * The function that is returned gives undefined when no client can be named: the connection is gone, or a trusted proxy sent the
 * header not at all, more than once, too long, or with anything but an address where one is read. Such a request is to be refused,
 * never charged to the proxy's own address.
 * @throws TypeError when a CIDR is malformed.
 */
export function createClientAddress(trusted: TrustedProxies): FindClient {
  const isTrusted = createAddressList(trusted.cidrs, 'TRUSTED_PROXY_CIDRS');
  const headerName = trusted.header.toLowerCase();

  return ({ peer, header }) => {
    // The system writes a zone into link-local peers; the address without it is the same for every connection over that link.
    const nearest = canonicalAddress(peer?.replace(/%.*$/, '') ?? '');
    if (nearest === undefined) return undefined;
    if (!isTrusted(nearest)) return counted(nearest);
    const value = onlyValue(header(headerName));
    if (value === undefined) return undefined;
    const client =
      headerName === listHeader
        ? walk(value.split(','), nearest, { hops: trusted.hops, isTrusted })
        : canonicalAddress(withoutSpace(value));
    return client === undefined ? undefined : counted(client);
  };
}

function onlyValue(values: readonly string[] | undefined): string | undefined {
  const [value] = values ?? [];
  return values?.length === 1 && value !== undefined && value.length <= limits.proxyHeaderLengthMax ? value : undefined;
}

function walk(
  entries: string[],
  nearest: string,
  trust: { readonly hops: number; readonly isTrusted: (address: string) => boolean },
): string | undefined {
  let address: string | undefined = nearest;
  for (let hop = 1; hop <= trust.hops && address !== undefined && trust.isTrusted(address); hop++) {
    const entry = entries.pop();
    // Past the first hop, an end of the list means that a machine inside the trusted networks is itself the client.
    if (entry === undefined) break;
    address = canonicalAddress(withoutSpace(entry));
  }
  return address;
}

/** Without the space that HTTP allows around a value (RFC 9110 section 5.6.3), and no other. */
function withoutSpace(text: string): string {
  return text.replace(/^[ \t]+/, '').replace(/[ \t]+$/, '');
}

function counted(address: string): ClientAddress {
  return { address, prefix: hostPrefixOf(address), network: networkOf(address) };
}
