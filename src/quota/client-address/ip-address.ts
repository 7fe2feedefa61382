import { isIP } from 'node:net';

const ipv6Groups = 8;
const hostPrefixGroups = 4;
const networkGroups = 3;

/**
 * Rewrites an address into its canonical form, in which an IPv4-mapped IPv6 address is IPv4 and an IPv6 address has
 * eight groups.
 * @returns undefined unless the text is exactly one address, without a port, a zone, leading zeros or white space.
 */
export function canonicalAddress(text: string): string | undefined {
  const version = text.includes('%') ? 0 : isIP(text);
  if (version === 0) return undefined;
  if (version === 4) return text;
  const groups = groupsOf(text);
  return isMapped(groups) ? dottedQuad(groups) : groups.map((group) => group.toString(16)).join(':');
}

/**
 * Returns the prefix of a canonical address that one subscriber owns, which is the IPv4 address or the /64 of an IPv6
 * address.
 */
export function hostPrefixOf(address: string): string {
  return isIPv6(address) ? `${address.split(':').slice(0, hostPrefixGroups).join(':')}::/64` : address;
}

/** Returns the /48 of a canonical IPv6 address, which one site owns; undefined for IPv4. */
export function networkOf(address: string): string | undefined {
  return isIPv6(address) ? `${address.split(':').slice(0, networkGroups).join(':')}::/48` : undefined;
}

/** Returns whether a canonical address is an IPv6 address. */
export function isIPv6(address: string): boolean {
  return address.includes(':');
}

/** Returns the eight 16-bit groups of an IPv6 address. */
export function groupsOf(address: string): number[] {
  // The URL parser rewrites an embedded IPv4 address as two groups.
  const plain = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = plain.split('::');
  const read = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)));
  const [left, right] = [read(head), read(tail ?? '')];
  return [...left, ...Array.from({ length: ipv6Groups - left.length - right.length }, () => 0), ...right];
}

/** Returns whether the groups are an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2). */
export function isMapped(groups: readonly number[]): boolean {
  return groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
}

/** Returns the IPv4 address in the last two groups. */
export function dottedQuad(groups: readonly number[]): string {
  const [high = 0, low = 0] = groups.slice(6);
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}
