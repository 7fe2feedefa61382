import type { Hono } from 'hono';
import type { Readiness } from './readiness.ts';

export interface HealthDeps {
  readonly version: string;
  readonly readiness: Readiness;
}

/**
 * `/xrpc/_health`: that an answer comes, and from which version. `/livez`: that the process answers at all, for a
 * supervisor that would restart it. `/readyz`: whether to send requests here, 503 if not. None of them says more.
 */
export function mountHealth(app: Hono, deps: HealthDeps): void {
  app.get('/xrpc/_health', (c) => c.json({ version: deps.version }, 200, noStore));
  app.get('/livez', (c) => c.json({ alive: true }, 200, noStore));
  app.get('/readyz', async (c) => {
    const report = await deps.readiness.read();
    return c.json(report, report.ready ? 200 : 503, noStore);
  });
}

const noStore = { 'cache-control': 'no-store' };
