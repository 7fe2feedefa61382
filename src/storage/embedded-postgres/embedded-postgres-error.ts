/** Thrown when the embedded Postgres cannot run on this machine. The message contains the reason and the remedy. */
export class EmbeddedPostgresError extends Error {}
