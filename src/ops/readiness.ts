import type { Clock } from '#platform/clock.ts';

/** Resolves when the dependency can be used; rejects when it cannot. Its error is never shown. */
export type DependencyCheck = () => Promise<unknown>;

export interface ReadinessDeps {
  readonly clock: Clock;
  /** Whether the database answers. */
  readonly database: DependencyCheck;
  /** Whether its schema is the one that this version was written for. */
  readonly migrations: DependencyCheck;
}

/** The answer of `/readyz`. */
export interface ReadinessReport {
  readonly ready: boolean;
  readonly checks: Readonly<Record<'database' | 'migrations' | 'draining', 'ok' | 'failed'>>;
}

/** Whether this server should get requests. */
export interface Readiness {
  read(): Promise<ReadinessReport>;
  /** From now on the server is not ready, so that a load balancer lets go of it before it stops. */
  drain(): void;
}

const checkTimeoutMs = 2_000;
/** Anyone may ask, so that asking often must not cost the database more than this. */
const reuseMs = 500;

/** Readiness by asking the dependencies, at most twice per second however many ask. */
export function createReadiness(deps: ReadinessDeps): Readiness {
  const { clock } = deps;
  let isDraining = false;
  let latest: { readonly askedAtMs: number; readonly checks: Promise<ReadinessReport['checks']> } | undefined;

  async function ask(): Promise<ReadinessReport['checks']> {
    const [database, migrations] = await Promise.all([passes(deps.database, clock), passes(deps.migrations, clock)]);
    return { database, migrations, draining: 'ok' };
  }

  return {
    async read() {
      const nowMs = clock.monotonicMs();
      if (latest === undefined || nowMs - latest.askedAtMs >= reuseMs) latest = { askedAtMs: nowMs, checks: ask() };
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
