import { isIP } from 'node:net';

const ipv6Groups = 8;
const hostPrefixGroups = 4;
const networkGroups = 3;

/**
 * One spelling for each address: an IPv4 address inside IPv6 becomes plain IPv4, and IPv6 is eight groups without zeros left out.
 * Undefined for what is not exactly one address: ports, zones, leading zeros, other digits, space around it.
 */
export function canonicalAddress(text: string): string | undefined {
  const version = text.includes('%') ? 0 : isIP(text);
  if (version === 0) return undefined;
  if (version === 4) return text;
  const groups = groupsOf(text);
  return isMapped(groups) ? dottedQuad(groups) : groups.map((group) => group.toString(16)).join(':');
}

/** What one subscriber has of addresses: a whole IPv4 address, or the /64 of an IPv6 address. Takes a canonical address. */
export function hostPrefixOf(address: string): string {
  return isIPv6(address) ? `${address.split(':').slice(0, hostPrefixGroups).join(':')}::/64` : address;
}

/** What one site has of addresses: the /48 of an IPv6 address; undefined for IPv4. Takes a canonical address. */
export function networkOf(address: string): string | undefined {
  return isIPv6(address) ? `${address.split(':').slice(0, networkGroups).join(':')}::/48` : undefined;
}

/** Of a canonical address. */
export function isIPv6(address: string): boolean {
  return address.includes(':');
}

/** The eight numbers of an IPv6 address. */
export function groupsOf(address: string): number[] {
  // The URL parser writes an embedded dotted quad as two groups.
  const plain = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = plain.split('::');
  const read = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)));
  const [left, right] = [read(head), read(tail ?? '')];
  return [...left, ...Array.from({ length: ipv6Groups - left.length - right.length }, () => 0), ...right];
}

/** Whether the groups are those of an IPv4 address inside IPv6 (RFC 4291 section 2.5.5.2). */
export function isMapped(groups: readonly number[]): boolean {
  return groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
}

/** The IPv4 address in the last two groups. */
export function dottedQuad(groups: readonly number[]): string {
  const [high = 0, low = 0] = groups.slice(6);
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}
