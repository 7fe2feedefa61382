import { limits } from '#platform/limits.ts';
import { QuotaSubject } from '../stores/quota-subject.ts';
import { createAddressList } from './address-lists.ts';
import { canonicalAddress, hostPrefixOf, networkOf } from './ip-address.ts';

/** The facts from which the client address of a request is determined. */
export interface AddressEvidence {
  /** The connection, with which the result is kept if the client is its peer. */
  readonly connection?: object | undefined;
  /** The remote address of the connection. */
  readonly peer: string | undefined;
  /**
   * Returns all values of a header (name in lower case), one for each time the header was sent, or undefined when it
   * was not sent.
   */
  readonly header: (name: string) => readonly string[] | undefined;
}

export interface TrustedProxies {
  /** Networks as `address/bits`, or single addresses. */
  readonly cidrs: readonly string[];
  /** The maximum number of trusted proxies in a chain. */
  readonly hops: number;
  /**
   * The name of the only header that is read. A header that is not X-Forwarded-For must contain exactly one address.
   */
  readonly header: string;
}

/** The forms of a client address that address lists, quotas and bans use. */
export interface ClientAddress {
  /** The canonical address, which is only compared with address lists. */
  readonly address: string;
  /** The IPv4 address, or the /64 of the IPv6 address, because one subscriber owns a whole /64. */
  readonly prefix: QuotaSubject;
  /** The /48 of an IPv6 address, because one site owns a /48; undefined for IPv4. */
  readonly network: QuotaSubject | undefined;
}

/**
 * Returns the client address, or undefined when the connection is closed or when a trusted proxy did not send exactly
 * one header of valid length with valid addresses. The caller must then refuse the request, and must not charge it to
 * the address of the proxy.
 */
export type FindClient = (evidence: AddressEvidence) => ClientAddress | undefined;

const listHeader = 'x-forwarded-for';

/**
 * Creates the function that determines the client address of a request. It reads the header of trusted peers only, and
 * reads X-Forwarded-For from the right with one entry for each trusted proxy, so that entries written by a client are
 * never used.
 * @throws TypeError when a CIDR is malformed.
 */
export function createClientAddress(trusted: TrustedProxies): FindClient {
  const isTrusted = createAddressList(trusted.cidrs, 'TRUSTED_PROXY_CIDRS');
  const headerName = trusted.header.toLowerCase();

  // An entry ends with the connection, which has the address of its peer anyway. Clients behind a proxy are not kept,
  // because a map of their addresses would be readable.
  const peers = new WeakMap<object, ClientAddress>();

  return ({ connection, peer, header }) => {
    const known = connection && peers.get(connection);
    if (known !== undefined) return known;
    // The system adds a zone to the address of a link-local peer, and `canonicalAddress` accepts no zone.
    const nearest = canonicalAddress(peer?.replace(/%.*$/, '') ?? '');
    if (nearest === undefined) return undefined;
    if (!isTrusted(nearest)) {
      const client = clientAddressOf(nearest);
      if (connection !== undefined) peers.set(connection, client);
      return client;
    }
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
    // After the first hop, the end of the list means that the client is a machine inside the trusted networks.
    if (entry === undefined) break;
    address = canonicalAddress(withoutSpace(entry));
  }
  return address;
}

/** Removes the optional whitespace that HTTP allows around a value (RFC 9110 section 5.6.3), and no other. */
function withoutSpace(text: string): string {
  return text.replace(/^[ \t]+/, '').replace(/[ \t]+$/, '');
}

/** Returns the forms of a canonical address. */
export function clientAddressOf(address: string): ClientAddress {
  const network = networkOf(address);
  return {
    address,
    prefix: new QuotaSubject(hostPrefixOf(address)),
    network: network === undefined ? undefined : new QuotaSubject(network),
  };
}
