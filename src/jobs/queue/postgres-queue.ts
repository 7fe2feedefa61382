import { createPostgresBackend, runMigrations, withBackend } from 'bullmq';
import type { PgPool, Queue as AnyQueue, Worker as AnyWorker } from 'bullmq';
import { Pool } from 'pg';
import type { QueueBackend } from './queue-backend.ts';

const { Queue, Worker } = withBackend(createPostgresBackend);

const schema = 'bullmq';
/** One connection listens; two let one job be fetched while another is finished. */
const connectionsMax = 3;

/**
 * Opens BullMQ in a Postgres schema of its own, and migrates that schema first. `url` must point at Postgres itself,
 * because LISTEN does not work through PgBouncer.
 */
export async function openPostgresBackend(url: string, onError: (error: unknown) => void): Promise<QueueBackend> {
  // BullMQ cannot load `pg` from an ES module, so it gets a pool, which must then set the schema.
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
  // The two packages declare the client's `on` in ways that TypeScript cannot match.
  const connection = pool as unknown as PgPool;
  return {
    // The classes of the two backends differ only in the type of `connection`.
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
