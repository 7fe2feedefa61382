import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { HonoAdapter } from '@bull-board/hono';
import { serveStatic } from '@hono/node-server/serve-static';
import { Hono } from 'hono';
import { basicAuth } from 'hono/basic-auth';
import type { JobQueue } from '#jobs/queue/queue.ts';
import { jobBoardPath } from './job-board-path.ts';

const jobBoardUser = 'admin';

export interface JobBoardOptions {
  readonly queue: JobQueue['queue'];
  /** The password of the user `admin`. */
  readonly key: string;
  /** True if the page can retry, promote and remove jobs, and false if it is read-only. */
  readonly isWritable: boolean;
}

const pageHeaders = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
} as const;

/**
 * Creates bull-board's page of the queue, for a listener that only operators reach. Every route requires the key by
 * HTTP Basic authentication.
 */
export function createJobBoard({ queue, key, isWritable }: JobBoardOptions): Hono {
  const adapter = new HonoAdapter(serveStatic);
  adapter.setBasePath(jobBoardPath);
  const uiFolder = dirname(createRequire(import.meta.url).resolve('@bull-board/ui/package.json'));
  createBullBoard({
    queues: [new BullMQAdapter(queue, { readOnlyMode: !isWritable, allowRetries: isWritable })],
    serverAdapter: adapter,
    options: { uiBasePath: uiFolder, uiConfig: { boardTitle: 'Nightjar jobs', hideRedisDetails: true } },
  });
  const app = new Hono();
  app.use(basicAuth({ username: jobBoardUser, password: key, realm: 'Nightjar jobs' }));
  app.use(async (c, next) => {
    // Changes from pages of other sites are refused (CSRF), because the browser adds its login to those requests too.
    const isChange = c.req.method !== 'GET' && c.req.method !== 'HEAD';
    if (isChange && !['same-origin', 'none', undefined].includes(c.req.header('sec-fetch-site')))
      return c.text('Change jobs from this page only.\n', 403);
    if (isChange && !isWritable)
      return c.text('This page is read-only. Set JOB_BOARD_WRITES=true to allow changes.\n', 403);
    await next();
    for (const [name, value] of Object.entries(pageHeaders)) c.res.headers.set(name, value);
    return undefined;
  });
  app.route(jobBoardPath, adapter.registerPlugin() as Hono);
  return app;
}
