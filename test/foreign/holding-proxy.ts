import { createServer, request } from 'node:http';
import { once } from 'node:events';

/** A proxy on 127.0.0.1 that can delay the calls of one method. */
export interface HoldingProxy {
  readonly url: string;
  /** Resolves when the next call of the method with this name is there. It is forwarded when `release` is called. */
  hold(method: string): Promise<{ release(): void }>;
  close(): Promise<void>;
}

export async function startHoldingProxy(serviceUrl: string): Promise<HoldingProxy> {
  let held: { readonly method: string; readonly arrive: (call: { release(): void }) => void } | undefined;
  const server = createServer((received, response) => {
    const forward = (): void => {
      const { method, url = '/', headers } = received;
      const sent = request(new URL(url, serviceUrl), { method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      sent.once('error', () => response.destroy());
      response.once('close', () => sent.destroy());
      received.pipe(sent);
    };
    if (held === undefined || received.url?.endsWith(`.${held.method}`) !== true) return forward();
    const { arrive } = held;
    held = undefined;
    arrive({ release: forward });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    hold: (method) => new Promise((resolve) => (held = { method, arrive: resolve })),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
