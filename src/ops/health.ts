import type { Hono } from 'hono';
import type { Readiness } from './readiness.ts';

export interface HealthDeps {
  readonly version: string;
  readonly readiness: Readiness;
}

/**
 * Mounts three probes. `/xrpc/_health` returns the version. `/livez` is for a supervisor that restarts a process that
 * does not respond. `/readyz` responds with 503 when this server should get no requests.
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
