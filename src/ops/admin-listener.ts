import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import type { Context } from 'hono';
import type { Metrics } from '#platform/metrics/metrics.ts';
import { jobBoardPath } from './job-board-path.ts';
import type { JobBoardOptions } from './job-board.ts';

export interface AdminListener {
  readonly port: number;
  /** Mounts the page of the job queue. */
  showJobs(board: JobBoardOptions): void;
  close(): Promise<void>;
}

export interface AdminListenerDeps {
  /** The port, or 0 for any free port. */
  readonly port: number;
  readonly metrics: Pick<Metrics, 'read' | 'contentType'>;
}

interface MountedBoard {
  board?: Promise<Hono>;
}

const loopback = '127.0.0.1';
/**
 * Host names that a request may use. A web page in a browser on this machine can reach the port by DNS rebinding, but
 * only under the host name of the page.
 */
const loopbackHosts = /^(127[.]0[.]0[.]1|localhost)(:\d+)?$/;

/**
 * Opens the operator's port on the loopback address only, because access to the machine is enough to read metrics. The
 * job page also requires a key, and the public port has none of these routes.
 * @throws Error with code EADDRINUSE when the port is in use.
 */
export async function startAdminListener(deps: AdminListenerDeps): Promise<AdminListener> {
  const mounted: MountedBoard = {};
  const server = serve({ fetch: adminApp(deps.metrics, mounted).fetch, hostname: loopback, port: deps.port });
  // `once` rejects if the server emits an error first.
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    showJobs: (board) => {
      // Loaded on demand, because it imports BullMQ, which a server without workers does not need.
      mounted.board = import('./job-board.ts').then(({ createJobBoard }) => createJobBoard(board));
      mounted.board.catch(() => undefined);
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      if ('closeAllConnections' in server) server.closeAllConnections();
      await closed;
    },
  };
}

function adminApp(metrics: AdminListenerDeps['metrics'], mounted: MountedBoard): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    if (!loopbackHosts.test(c.req.header('host') ?? ''))
      return c.text('Use the loopback address 127.0.0.1 or localhost for this port.\n', 403);
    return next();
  });
  app.get('/metrics', async (c) => c.body(await metrics.read(), 200, { 'content-type': metrics.contentType }));
  // Hono cannot add routes after the first request, so these routes check for the page on each request.
  const showBoard = async (c: Context): Promise<Response> =>
    (await mounted.board)?.fetch(c.req.raw) ??
    c.text('There is no page of jobs here. It needs workers in this process and ADMIN_KEY.\n', 404);
  app.all(jobBoardPath, showBoard);
  app.all(`${jobBoardPath}/*`, showBoard);
  return app;
}
