import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import type { Socket } from 'node:net';

/** Records the connection attempts of this process below every HTTP library, and replaces the results of DNS lookups. */
export interface OutboundWatch {
  /** `address:port` of every connection attempt, successful or not. */
  readonly attempts: readonly string[];
  /** The addresses that connections were about to be made to after a DNS lookup. */
  readonly resolved: readonly string[];
  /** Names of all DNS lookups. */
  readonly names: readonly string[];
  /** Gives lookups these results one after the other, and then always the last one. */
  setLookupResults(...results: readonly (readonly string[])[]): void;
  /** Clears the records and restores normal DNS lookups. */
  reset(): void;
  stop(): void;
}

/** Matches addresses of this machine; other sockets are closed after their lookup, so that tests send nothing to the network. */
const own = /^(?:127[.]|::1$|::ffff:127[.])/;

export function watchOutbound(): OutboundWatch {
  const attempts: string[] = [];
  const resolved: string[] = [];
  const names: string[] = [];
  const realLookup = dns.lookup;
  const watch = (message: unknown): void => {
    const { socket } = message as { socket: Socket };
    socket.on('connectionAttempt', (address: string, port: number) => attempts.push(`${address}:${port}`));
    socket.on('lookup', (error: Error | null, address: string) => {
      if (error !== null) return;
      resolved.push(address);
      if (!own.test(address)) socket.destroy(new Error('tests stay on this machine'));
    });
  };
  const restore = (): void => {
    dns.lookup = realLookup;
    syncBuiltinESMExports();
  };
  subscribe('net.client.socket', watch);
  return {
    attempts,
    resolved,
    names,
    setLookupResults(...results) {
      const left = [...results];
      const fake = (name: string, options: unknown, done: (...results: unknown[]) => void): void => {
        names.push(name);
        const addresses = (left.length > 1 ? left.shift() : left[0]) ?? [];
        const all = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
        const wantsAll = typeof options === 'object' && options !== null && 'all' in options && options.all === true;
        // Asynchronous like a real lookup, so that the caller has added its listeners.
        setImmediate(() => (wantsAll ? done(null, all) : done(null, all[0]?.address, all[0]?.family)));
      };
      dns.lookup = fake as unknown as typeof dns.lookup;
      syncBuiltinESMExports();
    },
    reset() {
      for (const list of [attempts, resolved, names]) list.length = 0;
      restore();
    },
    stop() {
      unsubscribe('net.client.socket', watch);
      restore();
    },
  };
}
