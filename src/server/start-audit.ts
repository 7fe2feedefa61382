import { startAuditLog } from '#ops/audit-log.ts';
import type { AuditLog } from '#ops/audit-log.ts';
import { permissiveSettingsOf } from '#ops/permissive-settings.ts';
import type { Clock } from '#platform/clock.ts';
import { ConfigError } from '#platform/config/config.ts';
import type { Config } from '#platform/config/config.ts';
import { describeError } from '#platform/logging/logger.ts';
import type { Logger } from '#platform/logging/logger.ts';
import type { StopStep } from '#platform/process/shutdown.ts';
import type { Sql } from '#storage/connection/database.ts';

export interface StartAuditDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly steps: StopStep[];
  readonly sql: Sql;
}

/** Starts the audit log and counts the start, the permissive settings and the applied migrations. */
export function startAudit(deps: StartAuditDeps, migrationsApplied: number): AuditLog {
  const { config, clock, logger, sql } = deps;
  const audit = startAuditLog({
    sql,
    clock,
    timeBucketSeconds: config.TIME_BUCKET_SECONDS,
    onError: (error) => logger.log('background_failed', { part: 'audit', ...describeError(error) }),
  });
  deps.steps.unshift({
    name: 'audit',
    run: () => {
      audit.record('server', 'stopped');
      return audit.stop();
    },
  });
  audit.record('server', 'started');
  for (const name of permissiveSettingsOf(config)) audit.record('configuration', name);
  if (migrationsApplied > 0) audit.record('migrations', 'applied', migrationsApplied);
  return audit;
}

/**
 * Awaits the check of the identity key, and records a mismatch in the audit log.
 * @throws the error of the check.
 */
export async function auditKeyCheck(audit: AuditLog, check: Promise<void>): Promise<void> {
  try {
    await check;
  } catch (error) {
    if (error instanceof ConfigError) audit.record('identity_key', 'mismatch');
    throw error;
  }
}
