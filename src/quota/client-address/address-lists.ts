import { BlockList, isIP } from 'node:net';
import { dottedQuad, groupsOf, isIPv6, isMapped } from './ip-address.ts';

/** Reports whether a canonical address is in one of the networks of a list. */
export type AddressList = (address: string) => boolean;

const mappedPrefixBits = 96;

/**
 * Parses a list of single addresses and of networks written as `address/bits`. A network of IPv4-mapped IPv6 addresses
 * counts as the IPv4 network, because canonical addresses are IPv4 in that case.
 * @throws TypeError that names `setting` when an entry is malformed.
 */
export function createAddressList(cidrs: readonly string[], setting: string): AddressList {
  // The two lists are separate, so that `::/0` contains every IPv6 address and no IPv4 address.
  const ipv4 = new BlockList();
  const ipv6 = new BlockList();
  for (const cidr of cidrs) {
    const network = parseNetwork(cidr);
    if (network === undefined) throw new TypeError(`${setting} must list networks such as 10.0.0.0/8 or fd00::/8`);
    if (isIPv6(network.address)) ipv6.addSubnet(network.address, network.bits, 'ipv6');
    else ipv4.addSubnet(network.address, network.bits, 'ipv4');
  }
  // An empty list is not queried, because a lookup in it costs as much as one in a short list.
  if (cidrs.length === 0) return () => false;
  return (address) => (isIPv6(address) ? ipv6.check(address, 'ipv6') : ipv4.check(address, 'ipv4'));
}

function parseNetwork(cidr: string): { readonly address: string; readonly bits: number } | undefined {
  const [address = '', bitsText, ...rest] = cidr.split('/');
  const version = address.includes('%') ? 0 : isIP(address);
  const bitsMax = version === 4 ? 32 : 128;
  const bits = bitsText === undefined ? bitsMax : /^\d{1,3}$/.test(bitsText) ? Number(bitsText) : Infinity;
  if (version === 0 || rest.length > 0 || bits > bitsMax) return undefined;
  if (version === 4 || bits < mappedPrefixBits || !isMapped(groupsOf(address))) return { address, bits };
  return { address: dottedQuad(groupsOf(address)), bits: bits - mappedPrefixBits };
}
