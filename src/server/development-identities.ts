import { usesDevelopmentIdentities } from '#development/development-setting.ts';
import type { Development } from '#development/open-development.ts';
import type { Clock } from '#platform/clock.ts';
import type { Config } from '#platform/config/config.ts';
import type { Logger } from '#platform/logging/logger.ts';
import { methodNames } from '#xrpc/mls/endpoints.ts';
import type { Sql } from '#storage/connection/database.ts';

/** Opens the development identities. Their code is loaded only when they are on, so never in production. */
export async function openDevelopmentIdentities(
  deps: { config: Config; clock: Clock; logger: Logger; role?: 'all' | 'server' },
  sql: Sql,
): Promise<Development | undefined> {
  const { config, clock, logger, role = 'server' } = deps;
  if (!usesDevelopmentIdentities(config, role)) return undefined;
  const { openDevelopment } = await import('#development/open-development.ts');
  const methods = methodNames.map((name) => `blue.catbird.mls.${name}`);
  const development = await openDevelopment({ dataDir: config.DATA_DIR, sql, clock, methods });
  logger.log('development_identities_on', {});
  return development;
}
