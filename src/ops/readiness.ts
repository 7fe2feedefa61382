import type { Clock } from '#platform/clock.ts';

/** Resolves if the dependency works, and rejects otherwise. The error is not exposed. */
export type DependencyCheck = () => Promise<unknown>;

export interface ReadinessDeps {
  readonly clock: Clock;
  readonly database: DependencyCheck;
  /** Checks that the schema is the one that this version needs. */
  readonly migrations: DependencyCheck;
}

/** The response body of `/readyz`. */
export interface ReadinessReport {
  readonly ready: boolean;
  readonly checks: Readonly<Record<'database' | 'migrations' | 'draining', 'ok' | 'failed'>>;
}

/** Reports whether a load balancer should send requests to this server. */
export interface Readiness {
  read(): Promise<ReadinessReport>;
  /** Makes the server unready, so that a load balancer stops sending requests before the server stops. */
  drain(): void;
}

const checkTimeoutMs = 2_000;
/**
 * Milliseconds for which a result is used again, because the endpoint is public and each check queries the database.
 */
const reuseMs = 500;

/** Checks the dependencies at most twice per second, regardless of the number of requests. */
export function createReadiness(deps: ReadinessDeps): Readiness {
  const { clock } = deps;
  let isDraining = false;
  let latest: { readonly startedAtMs: number; readonly checks: Promise<ReadinessReport['checks']> } | undefined;

  async function runChecks(): Promise<ReadinessReport['checks']> {
    const [database, migrations] = await Promise.all([passes(deps.database, clock), passes(deps.migrations, clock)]);
    return { database, migrations, draining: 'ok' };
  }

  return {
    async read() {
      const nowMs = clock.monotonicMs();
      if (latest === undefined || nowMs - latest.startedAtMs >= reuseMs)
        latest = { startedAtMs: nowMs, checks: runChecks() };
      const checks = { ...(await latest.checks), draining: isDraining ? 'failed' : 'ok' } as const;
      return { ready: Object.values(checks).every((check) => check === 'ok'), checks };
    },
    drain() {
      isDraining = true;
    },
  };
}

async function passes(check: DependencyCheck, clock: Clock): Promise<'ok' | 'failed'> {
  const ended = new AbortController();
  const timeout = clock.sleep(checkTimeoutMs, ended.signal).then(() => 'failed' as const);
  const result = check().then(
    () => 'ok' as const,
    () => 'failed' as const,
  );
  try {
    return await Promise.race([result, timeout]);
  } finally {
    ended.abort();
  }
}
