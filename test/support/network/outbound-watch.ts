import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import type { Socket } from 'node:net';

/** Sees where sockets of this process try to connect, below every HTTP library, and says what names resolve to. */
export interface OutboundWatch {
  /** `address:port` of every attempt to connect, whatever came of it. */
  readonly attempts: readonly string[];
  /** What connections were about to be made to when their name had been looked up. */
  readonly resolved: readonly string[];
  /** Names that were looked up. */
  readonly names: readonly string[];
  /** Look-ups get these answers in turn, and the last one again and again. */
  answerLookups(...answers: readonly (readonly string[])[]): void;
  /** Forgets what was seen, and lets names resolve as they do. */
  reset(): void;
  stop(): void;
}

/** Tests send nothing beyond this machine: a socket that would is ended after its look-up. */
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
    answerLookups(...answers) {
      const left = [...answers];
      const fake = (name: string, options: unknown, done: (...results: unknown[]) => void): void => {
        names.push(name);
        const addresses = (left.length > 1 ? left.shift() : left[0]) ?? [];
        const all = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
        const wantsAll = typeof options === 'object' && options !== null && 'all' in options && options.all === true;
        // As a look-up does, after whoever asked has begun to listen.
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
