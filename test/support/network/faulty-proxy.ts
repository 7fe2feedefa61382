import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** How connections are handled. `close`: accepted and closed at once. `silent`: accepted, without forwarding data. */
export type ProxyMode = 'pass' | 'refuse' | 'close' | 'silent';

/** A TCP proxy on 127.0.0.1 with a fixed port. */
export interface FaultyProxy {
  readonly port: number;
  /** Sets the target port of new connections. */
  aim(targetPort: number): void;
  /** Applies to open connections too. */
  setMode(mode: ProxyMode): Promise<void>;
  /** Holds back what the target sends on the open connections, until it is called with false. */
  stall(isStalled: boolean): void;
  /** Number of connections accepted so far. */
  accepted(): number;
  close(): Promise<void>;
}

export async function startFaultyProxy(targetPort: number): Promise<FaultyProxy> {
  const state = { targetPort, mode: 'pass' as ProxyMode, accepted: 0, port: 0 };
  const sockets = new Set<Socket>();
  const clientOf = new Map<Socket, Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  };
  const server = createServer((socket) => {
    state.accepted += 1;
    keep(socket);
    if (state.mode === 'close') return void socket.end();
    if (state.mode === 'silent') return void socket.pause();
    const onward = connect(state.targetPort, '127.0.0.1');
    keep(onward);
    socket.on('close', () => onward.destroy()).pipe(onward);
    clientOf.set(onward, socket);
    onward.pipe(socket);
    onward.on('close', () => {
      clientOf.delete(onward);
      socket.destroy();
    });
  });
  const listen = async (): Promise<void> => {
    server.listen(state.port, '127.0.0.1');
    await once(server, 'listening');
    state.port = (server.address() as AddressInfo).port;
  };
  const shut = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  await listen();
  return {
    port: state.port,
    aim: (port) => void (state.targetPort = port),
    async setMode(mode) {
      state.mode = mode;
      if (mode === 'refuse') return shut();
      if (mode === 'silent') for (const socket of sockets) socket.unpipe().pause();
      else for (const socket of sockets) socket.destroy();
      if (!server.listening) await listen();
    },
    stall(isStalled) {
      for (const [onward, socket] of clientOf) {
        if (isStalled) onward.unpipe(socket).pause();
        else onward.pipe(socket);
      }
    },
    accepted: () => state.accepted,
    close: shut,
  };
}
