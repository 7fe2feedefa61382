import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { ConfigError } from '#platform/config/config.ts';
import type { QueueBackend } from './queue-backend.ts';

/** The braces keep all keys on one node of a Redis Cluster. */
const prefix = '{nightjar}';

/**
 * Opens BullMQ on Redis. Redis may lose all data, because workers write missing schedules again and Postgres stores
 * which runs are done.
 * @throws ConfigError when Redis may evict keys of the queue.
 */
export async function openRedisBackend(url: string, onError: (error: unknown) => void): Promise<QueueBackend> {
  // BullMQ waits for jobs in a blocking command, which must not fail after a fixed number of retries.
  const connection = new Redis(url, { maxRetriesPerRequest: null, lazyConnect: true });
  connection.on('error', onError);
  try {
    await connection.connect();
    await refuseEviction(connection);
  } catch (error) {
    connection.disconnect();
    throw error;
  }
  return {
    openQueue: (name) => new Queue(name, { connection, prefix }),
    openWorker: (name, process, options) => new Worker(name, process, { ...options, connection, prefix }),
    close: async () => {
      await connection.quit();
    },
  };
}

async function refuseEviction(connection: Redis): Promise<void> {
  const memory = await connection.info('memory');
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1];
  if (policy !== undefined && policy !== 'noeviction') {
    throw new ConfigError([
      `REDIS_URL: this Redis may evict keys of the job queue (maxmemory-policy ${policy}). Set maxmemory-policy to noeviction.`,
    ]);
  }
}
