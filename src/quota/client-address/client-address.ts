import { limits } from '#platform/limits.ts';
import { createAddressList } from './address-lists.ts';
import { canonicalAddress, hostPrefixOf, networkOf } from './ip-address.ts';

/** Where a request comes from, according to the connection and the trusted proxies. */
export interface AddressEvidence {
  /** The remote address of the connection. */
  readonly peer: string | undefined;
  /** All values of a header (name in lower case), one for each time it was sent; undefined when it was not sent. */
  readonly header: (name: string) => readonly string[] | undefined;
}

export interface TrustedProxies {
  /** Networks as `address/bits`, or single addresses. */
  readonly cidrs: readonly string[];
  /** The maximum number of trusted proxies in a chain. */
  readonly hops: number;
  /** The only header that is read. Every header except X-Forwarded-For must contain exactly one address. */
  readonly header: string;
}

/** The names under which a client is clientAddressOf. */
export interface ClientAddress {
  /** Canonical; used only for comparison with lists of networks. */
  readonly address: string;
  /** The IPv4 address, or the /64 of the IPv6 address, because one subscriber owns a whole /64. */
  readonly prefix: string;
  /** The /48 of an IPv6 address, because one site owns a /48; undefined for IPv4. */
  readonly network: string | undefined;
}

export type FindClient = (evidence: AddressEvidence) => ClientAddress | undefined;

const listHeader = 'x-forwarded-for';

/**
 * Creates the function that finds the client of a request. X-Forwarded-For is read from the right, one entry per
 * trusted proxy, so that entries written by a client are never reached. Any other header is one address, written by the
 * nearest proxy. Only a header from a trusted peer is read.
 * The function returns undefined when the client cannot be determined: the connection is closed, or a trusted proxy
 * sent no header, more than one, one that is too long, or one whose entry is not an address. The caller must refuse
 * this request and must not charge it to the proxy's address.
 * @throws TypeError when a CIDR is malformed.
 */
export function createClientAddress(trusted: TrustedProxies): FindClient {
  const isTrusted = createAddressList(trusted.cidrs, 'TRUSTED_PROXY_CIDRS');
  const headerName = trusted.header.toLowerCase();

  return ({ peer, header }) => {
    // The system adds a zone to link-local peers; every connection over that link has the same address without the
    // zone.
    const nearest = canonicalAddress(peer?.replace(/%.*$/, '') ?? '');
    if (nearest === undefined) return undefined;
    if (!isTrusted(nearest)) return clientAddressOf(nearest);
    const value = onlyValue(header(headerName));
    if (value === undefined) return undefined;
    const client =
      headerName === listHeader
        ? clientFromForwardedFor(value.split(','), nearest, { hops: trusted.hops, isTrusted })
        : canonicalAddress(withoutSpace(value));
    return client === undefined ? undefined : clientAddressOf(client);
  };
}

function onlyValue(values: readonly string[] | undefined): string | undefined {
  const [value] = values ?? [];
  return values?.length === 1 && value !== undefined && value.length <= limits.proxyHeaderLengthMax ? value : undefined;
}

function clientFromForwardedFor(
  entries: string[],
  nearest: string,
  trust: { readonly hops: number; readonly isTrusted: (address: string) => boolean },
): string | undefined {
  let address: string | undefined = nearest;
  for (let hop = 1; hop <= trust.hops && address !== undefined && trust.isTrusted(address); hop++) {
    const entry = entries.pop();
    // Past the first hop, the end of the list means that a machine inside the trusted networks is the client.
    if (entry === undefined) break;
    address = canonicalAddress(withoutSpace(entry));
  }
  return address;
}

/** Removes the optional whitespace that HTTP allows around a value (RFC 9110 section 5.6.3), and no other. */
function withoutSpace(text: string): string {
  return text.replace(/^[ \t]+/, '').replace(/[ \t]+$/, '');
}

function clientAddressOf(address: string): ClientAddress {
  return { address, prefix: hostPrefixOf(address), network: networkOf(address) };
}
