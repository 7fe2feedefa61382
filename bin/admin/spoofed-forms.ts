type Form = (address: string) => Readonly<Record<string, string>>;

/** Headers that some proxies or servers trust to contain a single client address. */
const singleAddressHeaders = [
  'X-Forwarded-For',
  'X-Real-IP',
  'X-Client-IP',
  'X-Cluster-Client-IP',
  'X-Originating-IP',
  'X-Remote-IP',
  'X-Remote-Addr',
  'X-Envoy-External-Address',
  'X-Azure-ClientIP',
  'X-Appengine-User-IP',
  'X-Forwarded',
  'X-ProxyUser-IP',
  'True-Client-IP',
  'CF-Connecting-IP',
  'CF-Connecting-IPv6',
  'CF-Pseudo-IPv4',
  'Fastly-Client-IP',
  'Fly-Client-IP',
  'DO-Connecting-IP',
  'Client-IP',
  'Forwarded-For',
] as const;

/** The headers with which a request can claim a false client address. */
export const spoofedForms: readonly Form[] = [
  ...singleAddressHeaders.map((name): Form => (address) => ({ [name]: address })),
  (address) => ({ 'X-Forwarded-For': `${address}, ${address}` }),
  (address) => ({ 'X-Forwarded-For': `${address}, 127.0.0.1` }),
  (address) => ({ 'X-Forwarded-For': `127.0.0.1, ${address}` }),
  (address) => ({ 'X-Forwarded-For': ` ${address} ,` }),
  (address) => ({ 'X-Forwarded-For': `${address}:4711` }),
  (address) => ({ 'X-Forwarded-For': `::ffff:${address}` }),
  (address) => ({ 'X-Forwarded-For': Array.from({ length: 100 }, () => address).join(', ') }),
  (address) => ({ Forwarded: `for=${address}` }),
  (address) => ({ Forwarded: `for="${address}:4711";proto=https;by=127.0.0.1` }),
  (address) => ({ Forwarded: `for=127.0.0.1, for=${address}` }),
  (address) => ({ 'X-Forwarded-For': address, 'X-Real-IP': address, Forwarded: `for=${address}` }),
];

/** Returns a different address of a documentation network (RFC 5737) for each `index` below 250. */
export function spoofedAddress(index: number): string {
  return `198.51.100.${index + 1}`;
}
