import { isIP } from 'node:net';

const ipv6Groups = 8;
const hostPrefixGroups = 4;
const networkGroups = 3;

/**
 * Returns one spelling per address: an IPv4-mapped IPv6 address becomes IPv4, and IPv6 is written as eight groups.
 * Returns undefined unless the text is exactly one address: no port, no zone, no leading zeros, no surrounding space.
 */
export function canonicalAddress(text: string): string | undefined {
  const version = text.includes('%') ? 0 : isIP(text);
  if (version === 0) return undefined;
  if (version === 4) return text;
  const groups = groupsOf(text);
  return isMapped(groups) ? dottedQuad(groups) : groups.map((group) => group.toString(16)).join(':');
}

/** The addresses of one subscriber: a whole IPv4 address, or the /64 of an IPv6 address. Takes a canonical address. */
export function hostPrefixOf(address: string): string {
  return isIPv6(address) ? `${address.split(':').slice(0, hostPrefixGroups).join(':')}::/64` : address;
}

/** The addresses of one site: the /48 of an IPv6 address; undefined for IPv4. Takes a canonical address. */
export function networkOf(address: string): string | undefined {
  return isIPv6(address) ? `${address.split(':').slice(0, networkGroups).join(':')}::/48` : undefined;
}

/** Takes a canonical address. */
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

/** Whether the groups are an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2). */
export function isMapped(groups: readonly number[]): boolean {
  return groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
}

/** The IPv4 address in the last two groups. */
export function dottedQuad(groups: readonly number[]): string {
  const [high = 0, low = 0] = groups.slice(6);
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}
