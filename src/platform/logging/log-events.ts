/**
 * Everything the service can log: a line is one of these events with its declared fields, and nothing else. A field is
 * a number, a truth value, a word of a closed list, a SQLSTATE, an id that we made ourselves, or code positions.
 */
export type FieldKind = 'integer' | 'boolean' | 'sqlstate' | 'requestId' | 'frames' | readonly string[];

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

interface LogEvent {
  readonly level: LogLevel;
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

export const logEvents = {
  server_listening: { level: 'info', fields: { port: 'integer', adminPort: 'integer', startupMs: 'integer' } },
  server_stopping: { level: 'info', fields: { signal: ['SIGINT', 'SIGTERM', 'other'] } },
  server_stopped: { level: 'info', fields: { openStreams: 'integer', tookMs: 'integer' } },
  development_keys_created: { level: 'warn', fields: {} },
  signature_backend: { level: 'info', fields: { backend: ['secp256k1-native', 'node-crypto'] } },
  postgres_starting: { level: 'info', fields: { mode: ['created', 'started', 'adopted'] } },
  postgres_ready: { level: 'info', fields: { port: 'integer', versionMajor: 'integer', tookMs: 'integer' } },
  postgres_stopped: { level: 'info', fields: { tookMs: 'integer' } },
  migrations_applied: { level: 'info', fields: { count: 'integer' } },
  partitions_created: { level: 'debug', fields: { count: 'integer' } },
  request_failed: {
    level: 'error',
    fields: { requestId: 'requestId', errorClass: errorClasses, sqlstate: 'sqlstate', at: 'frames' },
  },
  background_failed: {
    level: 'error',
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
  quota_store_changed: { level: 'warn', fields: { state: ['shared', 'local'] } },
  horizon_held: { level: 'warn', fields: { lagMs: 'integer', pid: 'integer' } },
  worker_started: { level: 'info', fields: { adminPort: 'integer', startupMs: 'integer' } },
  job_finished: {
    level: 'info',
    fields: { job: jobWords, durationMs: 'integer', removed: 'integer', removedSizeBytes: 'integer' },
  },
  job_not_run: {
    level: 'info',
    fields: { job: jobWords, reason: ['busy', 'paused', 'standby', 'clock', 'done', 'lost'] },
  },
  job_failed: {
    level: 'error',
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

/** The fields that a line of event `Name` may carry. */
export type LogFields<Name extends LogEventName> = {
  readonly [Field in keyof (typeof logEvents)[Name]['fields']]?: FieldValue<(typeof logEvents)[Name]['fields'][Field]>;
};
