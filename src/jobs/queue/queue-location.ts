import type { Config } from '#platform/config/config.ts';
import { ConfigError } from '#platform/config/config.ts';
import type { QueueLocation } from './queue.ts';

/**
 * Decides where the queue is stored, which is Redis if REDIS_URL is set and QUEUE_BACKEND does not select Postgres.
 * `databaseUrl` must not point at PgBouncer, because LISTEN does not work through PgBouncer.
 * @throws ConfigError when QUEUE_BACKEND is redis and REDIS_URL is unset.
 */
export function queueLocationOf(
  config: Pick<Config, 'QUEUE_BACKEND' | 'REDIS_URL'>,
  databaseUrl: string,
): QueueLocation {
  const { QUEUE_BACKEND, REDIS_URL } = config;
  const backend = QUEUE_BACKEND ?? (REDIS_URL === undefined ? 'postgres' : 'redis');
  if (backend === 'postgres') return { backend, url: databaseUrl };
  if (REDIS_URL === undefined) throw new ConfigError(['REDIS_URL: is required when QUEUE_BACKEND is redis.']);
  return { backend, url: REDIS_URL };
}
