import type { Config } from '#platform/config/config.ts';
import { ConfigError } from '#platform/config/config.ts';
import type { QueueLocation } from './queue.ts';

/**
 * Where the configuration keeps the queue: Redis when REDIS_URL is set, unless QUEUE_BACKEND says otherwise. `databaseUrl` leads to
 * Postgres itself.
 * @throws ConfigError when it says redis and there is none.
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
