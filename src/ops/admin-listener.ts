import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import type { Metrics } from '#platform/metrics.ts';

export interface AdminListener {
  readonly port: number;
  close(): Promise<void>;
}

export interface AdminListenerDeps {
  /** 0 picks a free one. */
  readonly port: number;
  readonly metrics: Pick<Metrics, 'read' | 'contentType'>;
}

const loopback = '127.0.0.1';
/** A page in a browser on this machine may reach the port under a name of its own (DNS rebinding), never under these. */
const loopbackHosts = /^(127[.]0[.]0[.]1|localhost)(:\d+)?$/;

/**
 * Opens the operator's port, on loopback only: it has no password, so being on the machine is the permission. Nothing
 * of it is mounted on the public port.
 * @throws Error with code EADDRINUSE when the port is taken.
 */
export async function startAdminListener(deps: AdminListenerDeps): Promise<AdminListener> {
  const server = serve({ fetch: adminApp(deps.metrics).fetch, hostname: loopback, port: deps.port });
  // `once` rejects when the server reports an error first.
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      if ('closeAllConnections' in server) server.closeAllConnections();
      await closed;
    },
  };
}

function adminApp(metrics: AdminListenerDeps['metrics']): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    if (!loopbackHosts.test(c.req.header('host') ?? ''))
      return c.text('Ask for this port by its loopback address.\n', 403);
    return next();
  });
  app.get('/metrics', async (c) => c.body(await metrics.read(), 200, { 'content-type': metrics.contentType }));
  return app;
}
