import { BlockList, isIP } from 'node:net';

/** Where a request comes from as far as the connection and the proxies that we trust say. */
export interface AddressEvidence {
  /** The other end of the connection. */
  readonly peer: string | undefined;
  /** The `X-Forwarded-For` header; several headers are joined by commas. No other header is ever read. */
  readonly forwardedFor: string | undefined;
}

export interface TrustedProxies {
  /** Networks as `address/bits`, or single addresses. */
  readonly cidrs: readonly string[];
  /** How many trusted proxies may stand one behind the other. */
  readonly hops: number;
}

const ipv6Groups = 8;
const prefixGroups = 4;

/**
 * Finds the client of a request: its IPv4 address, or the /64 of its IPv6 address, since one subscriber owns a whole /64.
 * The header is read from the right, one entry for each trusted proxy, so that what a client wrote into it is not reached.
 * The function that is returned gives undefined when no client can be named: a trusted proxy sent no usable header, or
 * the connection is gone. Such a request is to be refused, never charged to the proxy's own address.
 * @throws TypeError when a CIDR is malformed.
 */
export function createClientAddress(trusted: TrustedProxies): (evidence: AddressEvidence) => string | undefined {
  const proxies = blockListOf(trusted.cidrs);
  const isTrusted = (address: string): boolean => proxies.check(address, address.includes(':') ? 'ipv6' : 'ipv4');

  return ({ peer, forwardedFor }) => {
    let address = canonicalAddress(peer ?? '');
    if (address === undefined) return undefined;
    const entries = (forwardedFor ?? '').split(',');
    for (let hop = 1; hop <= trusted.hops && isTrusted(address); hop++) {
      const entry = entries.pop()?.trim();
      // Past the first hop, an end of the list means that a machine inside the trusted networks is itself the client.
      if (entry === undefined) break;
      address = canonicalAddress(entry);
      if (address === undefined) return undefined;
    }
    return countedPart(address);
  };
}

/** @throws TypeError when an entry is not `address/bits` or an address. */
function blockListOf(cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = '', bits, ...rest] = cidr.split('/');
    const version = isIP(address);
    const widthMax = version === 4 ? 32 : 128;
    const width = bits === undefined ? widthMax : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
    if (version === 0 || rest.length > 0 || width < 0 || width > widthMax) {
      throw new TypeError('TRUSTED_PROXY_CIDRS must list networks such as 10.0.0.0/8 or fd00::/8');
    }
    list.addSubnet(address, width, version === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

/** One spelling for each address; an IPv4 address inside IPv6 becomes plain IPv4. */
function canonicalAddress(text: string): string | undefined {
  const address = text.replace(/%.*$/, '');
  const version = isIP(address);
  if (version === 0) return undefined;
  if (version === 4) return address;
  const groups = groupsOf(address);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  const [high = 0, low = 0] = groups.slice(6);
  if (isMapped) return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
  return groups.map((group) => group.toString(16)).join(':');
}

/** The eight numbers of an IPv6 address. */
function groupsOf(address: string): number[] {
  // The URL parser writes an embedded dotted quad as two groups.
  const plain = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = plain.split('::');
  const read = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)));
  const [left, right] = [read(head), read(tail ?? '')];
  return [...left, ...Array.from({ length: ipv6Groups - left.length - right.length }, () => 0), ...right];
}

function countedPart(address: string): string {
  return address.includes(':') ? `${address.split(':').slice(0, prefixGroups).join(':')}::/64` : address;
}
