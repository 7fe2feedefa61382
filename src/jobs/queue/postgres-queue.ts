import { createPostgresBackend, runMigrations, withBackend } from 'bullmq';
import type { PgPool, Queue as AnyQueue, Worker as AnyWorker } from 'bullmq';
import { Pool } from 'pg';
import type { QueueBackend } from './queue-backend.ts';

const { Queue, Worker } = withBackend(createPostgresBackend);

const schema = 'bullmq';
/** One connection for LISTEN, one to fetch a job, and one to finish another job at the same time. */
const connectionsMax = 3;

/**
 * Opens BullMQ in a separate Postgres schema, after migrating that schema. `url` must point at Postgres, because LISTEN
 * does not work through PgBouncer.
 */
export async function openPostgresBackend(url: string, onError: (error: unknown) => void): Promise<QueueBackend> {
  // BullMQ cannot load `pg` from an ES module, so it gets a pool, whose `search_path` selects the schema.
  const pool = new Pool({
    connectionString: url,
    max: connectionsMax,
    keepAlive: true,
    application_name: 'nightjar-jobs',
    options: `-c search_path=${schema}`,
    statement_timeout: 30_000,
    // An open transaction would prevent vacuum from removing deleted rows.
    idle_in_transaction_session_timeout: 10_000,
  });
  pool.on('error', onError);
  try {
    await migrateQueue(pool);
  } catch (error) {
    await pool.end();
    throw error;
  }
  // TypeScript cannot match the `on` methods that `pg` and `bullmq` declare for a client.
  const connection = pool as unknown as PgPool;
  return {
    // These classes differ from the classes for Redis only in the type of `connection`.
    openQueue: (name) => new Queue(name, { connection }) as unknown as AnyQueue,
    openWorker: (name, process, options) =>
      new Worker(name, process, { ...options, connection }) as unknown as AnyWorker,
    close: () => pool.end(),
  };
}

async function migrateQueue(pool: Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await runMigrations(client, schema);
  } finally {
    client.release();
  }
}
