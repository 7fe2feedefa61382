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
  /** Shows the page of the job queue from now on. */
  showJobs(board: JobBoardOptions): void;
  close(): Promise<void>;
}

export interface AdminListenerDeps {
  /** 0 picks a free one. */
  readonly port: number;
  readonly metrics: Pick<Metrics, 'read' | 'contentType'>;
}

interface Shown {
  board?: Promise<Hono>;
}

const loopback = '127.0.0.1';
/** A page in a browser on this machine may reach the port under a name of its own (DNS rebinding), never under these. */
const loopbackHosts = /^(127[.]0[.]0[.]1|localhost)(:\d+)?$/;

/**
 * Opens the operator's port, on loopback only: metrics need no password, so being on the machine is the permission; the page of
 * jobs needs a key. Nothing of it is mounted on the public port.
 * @throws Error with code EADDRINUSE when the port is taken.
 */
export async function startAdminListener(deps: AdminListenerDeps): Promise<AdminListener> {
  const shown: Shown = {};
  const server = serve({ fetch: adminApp(deps.metrics, shown).fetch, hostname: loopback, port: deps.port });
  // `once` rejects when the server reports an error first.
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    showJobs: (board) => {
      // It brings BullMQ with it, which a server without workers never needs.
      shown.board = import('./job-board.ts').then(({ createJobBoard }) => createJobBoard(board));
      shown.board.catch(() => undefined);
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      if ('closeAllConnections' in server) server.closeAllConnections();
      await closed;
    },
  };
}

function adminApp(metrics: AdminListenerDeps['metrics'], shown: Shown): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    if (!loopbackHosts.test(c.req.header('host') ?? ''))
      return c.text('Ask for this port by its loopback address.\n', 403);
    return next();
  });
  app.get('/metrics', async (c) => c.body(await metrics.read(), 200, { 'content-type': metrics.contentType }));
  // Routes cannot be added later, so the page is looked for with each request.
  const showBoard = async (c: Context): Promise<Response> =>
    (await shown.board)?.fetch(c.req.raw) ??
    c.text('There is no page of jobs here. It needs workers in this process and ADMIN_KEY.\n', 404);
  app.all(jobBoardPath, showBoard);
  app.all(`${jobBoardPath}/*`, showBoard);
  return app;
}
