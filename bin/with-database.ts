import { systemClock } from '#platform/clock.ts';
import type { Config } from '#platform/config/config.ts';
import { checkServer } from '#storage/connection/check-server.ts';
import { openDatabase } from '#storage/connection/database.ts';
import type { Database } from '#storage/connection/database.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';

/**
 * Runs one operator command on the database of DATABASE_DIRECT_URL or DATABASE_URL, or otherwise on the embedded
 * Postgres, which is started if it does not run. Closes everything afterwards, also after Ctrl-C.
 * @throws ConfigError when the database cannot be used, EmbeddedPostgresError when an embedded one cannot start.
 */
export async function withDatabase<T>(
  config: Config,
  task: (database: Database, url: string) => Promise<T>,
): Promise<T> {
  const given = config.DATABASE_DIRECT_URL ?? config.DATABASE_URL;
  const embedded =
    given === undefined
      ? await startEmbeddedPostgres({ dataDir: config.DATA_DIR, clock: systemClock, access: 'borrow' })
      : undefined;
  const url = given ?? embedded?.url ?? '';
  const database = openDatabase({ url, poolSize: 2, applicationName: 'nightjar-command', purpose: 'maintenance' });
  const close = async (): Promise<void> => {
    await database.close();
    await embedded?.stop();
  };
  const interrupted = (): void => void close().finally(() => process.exit(130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    await checkServer(database, { production: config.NODE_ENV === 'production' });
    return await task(database, url);
  } finally {
    process.removeListener('SIGINT', interrupted).removeListener('SIGTERM', interrupted);
    await close();
  }
}
