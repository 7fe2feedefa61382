import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { newSecret } from '#platform/ids.ts';
import { required } from '#platform/errors.ts';
import type { Workload } from '../workloads/workload.ts';

const listenerCount = 1_000;
const broadcasts = 100;
const inFlight = 8;
/** About the size of a frame with a message of 1 KiB. */
const frameSizeBytes = 1_400;
const openedAtOnce = 50;
const pollMs = 2;

/** The frames per second that the WebSocket library alone delivers, to compare `fan-out-1000` with. */
export const bareBroadcast: Workload = {
  name: 'bare-broadcast',
  title: `Reference: frames that the library ws alone delivers to ${listenerCount} clients`,
  unit: 'frame',
  isReference: true,
  async prepare() {
    const child = fork(fileURLToPath(new URL('./broadcast-server.ts', import.meta.url)), {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    const [port] = (await once(required(child.stdout, 'the output'), 'data')) as [Buffer];
    const url = `ws://127.0.0.1:${port.toString('utf8').trim()}`;
    let frames = 0;
    const sockets: WebSocket[] = [];
    for (let opened = 0; opened < listenerCount; opened += openedAtOnce) {
      sockets.push(...(await Promise.all(Array.from({ length: openedAtOnce }, () => open(url, () => (frames += 1))))));
    }
    const sender = required(sockets[0], 'a socket');
    return {
      async run() {
        const startedMs = performance.now();
        for (let sent = 0; sent < broadcasts; sent++) {
          while (sent - frames / listenerCount >= inFlight) await sleep(pollMs);
          sender.send(newSecret(frameSizeBytes));
        }
        while (frames < broadcasts * listenerCount) await sleep(pollMs);
        return { operations: frames, seconds: (performance.now() - startedMs) / 1_000, latenciesMs: [] };
      },
      close() {
        sockets.forEach((socket) => socket.terminate());
        child.kill();
      },
    };
  },
};

async function open(url: string, onFrame: () => void): Promise<WebSocket> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  socket.on('message', onFrame);
  await once(socket, 'open');
  return socket;
}
