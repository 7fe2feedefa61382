/**
 * The kind of a field of a log line. `sqlstate` is a SQLSTATE, `requestId` is an id that the server generated, `frames`
 * is a list of code positions, and an array lists the only allowed values.
 */
export type FieldKind = 'integer' | 'boolean' | 'sqlstate' | 'requestId' | 'frames' | readonly string[];

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

interface LogEvent {
  readonly level: LogLevel;
  /**
   * The text for terminals, in which the value of a field replaces `{field}`, and a part in `[ ]` is omitted if one of
   * its fields is absent.
   */
  readonly text: string;
  readonly fields: Readonly<Record<string, FieldKind>>;
}

const errorClasses = [
  'AppError',
  'InvariantError',
  'ConfigError',
  'PostgresError',
  'TypeError',
  'RangeError',
  'SyntaxError',
  'Error',
  'AggregateError',
  'JobTimeoutError',
  'other',
] as const;

const jobWords = [
  'compact-messages',
  'compact-events',
  'clean-key-packages',
  'retire-devices',
  'watch-key-packages',
  'clean-welcomes',
  'clean-invites',
  'clean-chat-requests',
  'clean-device-additions',
  'clean-replay-entries',
  'clean-idempotency-keys',
  'clean-reports',
  'clean-audit-events',
] as const;

/** Every event that the service can log. A log line contains one event with its declared fields and no further data. */
export const logEvents = {
  server_listening: {
    level: 'info',
    text: 'The server listens on port {port}[ with {processes} processes][, its admin listener on port {adminPort}][, after {startupMs} ms]',
    fields: { port: 'integer', adminPort: 'integer', startupMs: 'integer', processes: 'integer' },
  },
  process_started: {
    level: 'info',
    text: 'Server process {process} is ready[ after {startupMs} ms]',
    fields: { process: 'integer', startupMs: 'integer' },
  },
  process_ended: {
    level: 'error',
    text: 'Server process {process} has ended[ with exit code {exitCode}]; another one starts in {restartMs} ms',
    fields: { process: 'integer', exitCode: 'integer', restartMs: 'integer' },
  },
  server_stopping: {
    level: 'info',
    text: 'The server stops ({signal})',
    fields: { signal: ['SIGINT', 'SIGTERM', 'other'] },
  },
  server_stopped: {
    level: 'info',
    text: 'The server has stopped[ after {tookMs} ms][; {openStreams} streams were open]',
    fields: { openStreams: 'integer', tookMs: 'integer' },
  },
  development_identities_on: {
    level: 'info',
    text: 'This machine can request tokens of development identities (docs/development.md)',
    fields: {},
  },
  development_keys_created: {
    level: 'warn',
    text: 'A development key was created in the data folder; without it the names in the database cannot be read',
    fields: {},
  },
  signature_backend: {
    level: 'info',
    text: 'Signatures are verified by {backend}',
    fields: { backend: ['secp256k1-native', 'node-crypto'] },
  },
  postgres_starting: {
    level: 'info',
    text: 'The embedded Postgres is being prepared ({mode})',
    fields: { mode: ['created', 'started', 'adopted'] },
  },
  postgres_ready: {
    level: 'info',
    text: 'Postgres {versionMajor} is ready[ on port {port}][ after {tookMs} ms]',
    fields: { port: 'integer', versionMajor: 'integer', tookMs: 'integer' },
  },
  postgres_stopped: {
    level: 'info',
    text: 'The embedded Postgres has stopped[ after {tookMs} ms]',
    fields: { tookMs: 'integer' },
  },
  migrations_applied: { level: 'info', text: 'Migrations applied: {count}', fields: { count: 'integer' } },
  partitions_created: { level: 'debug', text: 'Partitions created: {count}', fields: { count: 'integer' } },
  request_failed: {
    level: 'error',
    text: 'Request {requestId} failed: {errorClass}[, SQLSTATE {sqlstate}][, at {at}]',
    fields: { requestId: 'requestId', errorClass: errorClasses, sqlstate: 'sqlstate', at: 'frames' },
  },
  background_failed: {
    level: 'error',
    text: 'A background part failed ({part}): {errorClass}[, SQLSTATE {sqlstate}][, at {at}]',
    fields: {
      part: [
        'tail',
        'notifier',
        'listener',
        'partitions',
        'deferred_writes',
        'batcher',
        'resolver',
        'worker',
        'stream',
        'process',
        'audit',
      ],
      errorClass: errorClasses,
      sqlstate: 'sqlstate',
      at: 'frames',
    },
  },
  quota_store_changed: {
    level: 'warn',
    text: 'Quotas are now counted in the {state} store',
    fields: { state: ['shared', 'local'] },
  },
  horizon_held: {
    level: 'warn',
    text: 'The database connection with process id {pid} has held back delivery for {lagMs} ms',
    fields: { lagMs: 'integer', pid: 'integer' },
  },
  worker_started: {
    level: 'info',
    text: 'The worker runs[, its admin listener on port {adminPort}][, after {startupMs} ms]',
    fields: { adminPort: 'integer', startupMs: 'integer' },
  },
  worker_stopping: {
    level: 'info',
    text: 'The worker stops ({signal})',
    fields: { signal: ['SIGINT', 'SIGTERM', 'other'] },
  },
  worker_stopped: {
    level: 'info',
    text: 'The worker has stopped[ after {tookMs} ms]',
    fields: { tookMs: 'integer' },
  },
  job_finished: {
    level: 'info',
    text: 'Job {job} removed {removed} rows[, {removedSizeBytes} bytes][, in {durationMs} ms]',
    fields: { job: jobWords, durationMs: 'integer', removed: 'integer', removedSizeBytes: 'integer' },
  },
  job_not_run: {
    level: 'info',
    text: 'Job {job} was not run: {reason}',
    fields: { job: jobWords, reason: ['busy', 'paused', 'standby', 'clock', 'done', 'lost'] },
  },
  job_failed: {
    level: 'error',
    text: 'Job {job} failed: {errorClass}[, SQLSTATE {sqlstate}][, at {at}]',
    fields: {
      job: jobWords,
      errorClass: errorClasses,
      sqlstate: 'sqlstate',
      at: 'frames',
    },
  },
} as const satisfies Record<string, LogEvent>;

export type LogEventName = keyof typeof logEvents;

type FieldValue<Kind> = Kind extends 'integer'
  ? number
  : Kind extends 'boolean'
    ? boolean
    : Kind extends readonly (infer Word)[]
      ? Word
      : string;

/** The fields that a line of event `Name` may contain. */
export type LogFields<Name extends LogEventName> = {
  readonly [Field in keyof (typeof logEvents)[Name]['fields']]?: FieldValue<(typeof logEvents)[Name]['fields'][Field]>;
};
