/** The embedded Postgres cannot run on this machine; the message contains the reason and the remedy. */
export class EmbeddedPostgresError extends Error {}
