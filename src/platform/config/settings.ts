import { z } from 'zod';
import { logLevels } from '../logging/log-events.ts';
import { rateLimitSettings } from './rate-limit-settings.ts';
import { audiences, did, flag, folder, host, keyRing, networks, origins, url, whole } from './setting-schemas.ts';

/** Describes one environment variable, with its parser, its default and its description for operators. */
export interface Setting<Schema extends z.ZodType = z.ZodType> {
  readonly group: SettingGroup;
  /** Parses the variable's text. */
  readonly schema: Schema;
  /**
   * The text that is parsed when the variable is unset. An unset variable without a fallback has the value undefined.
   */
  readonly fallback?: string;
  readonly about: string;
  /** A sample value for `docs/settings.md`, and for `.env.example` when the fallback is absent or empty. */
  readonly example?: string;
  /** Marks a secret, which may be read from the file in `<NAME>_FILE` and is never printed. */
  readonly secret?: true;
}

export const settingGroups = [
  'Service',
  'Storage',
  'Identity and tokens',
  'Messages and retention',
  'Quotas',
  'Operations',
] as const;
export type SettingGroup = (typeof settingGroups)[number];

function setting<Schema extends z.ZodType>(row: Setting<Schema>): Setting<Schema> {
  return row;
}

/** Every setting of the service, in the order of `.env.example` and of `docs/settings.md`. */
export const settings = {
  NODE_ENV: setting({
    group: 'Service',
    schema: z.enum(['development', 'test', 'production']),
    fallback: 'development',
    about: "In production, defaults that are only safe on a developer's machine are refused.",
  }),
  SERVER_HOST: setting({
    group: 'Service',
    schema: host.optional(),
    example: '0.0.0.0',
    about: 'Address to listen on. Unset: loopback outside production, all addresses in production.',
  }),
  SERVER_PORT: setting({
    group: 'Service',
    schema: whole(0, 65_535),
    fallback: '8080',
    about: 'Port to listen on; 0 picks a free one.',
  }),
  SERVER_PROCESSES: setting({
    group: 'Service',
    schema: whole(1, 64),
    fallback: '1',
    about:
      'Server processes on SERVER_PORT that one command starts, at most one for each processor core. With more than 1, requests of accounts are counted in Postgres.',
  }),
  SERVICE_DID: setting({
    group: 'Service',
    schema: did.optional(),
    example: 'did:web:mls.example.com',
    about: 'The DID that tokens must name as audience. Required in production; elsewhere did:web:localhost%3A<port>.',
  }),
  SERVICE_AUDIENCES: setting({
    group: 'Service',
    schema: audiences,
    fallback: '',
    example: 'did:web:mls.example.com#atproto_mls',
    about: 'Further audiences to accept, comma-separated. SERVICE_DID and SERVICE_DID#atproto_mls are always accepted.',
  }),
  PUBLIC_URL: setting({
    group: 'Service',
    schema: url('http:', 'https:').optional(),
    example: 'https://mls.example.com',
    about:
      'The URL at which clients reach the service; subscription endpoints are derived from it. Unset: in production the host of SERVICE_DID, elsewhere host and port.',
  }),
  HANDSHAKES: setting({
    group: 'Service',
    schema: z.enum(['any', 'plaintext', 'encrypted']),
    fallback: 'any',
    about:
      'The framing of commits and proposals of members. plaintext: PublicMessage, and the service checks who is added and removed. encrypted: PrivateMessage, and the service cannot read them. any: decided by the policy of each conversation.',
  }),
  CHAT_PAGE: setting({
    group: 'Service',
    schema: flag.optional(),
    example: 'true',
    about:
      'Serve the chat page for browsers at /chat. Unset: in development. In production run npm run build -w @nightjar/chat first.',
  }),
  DATA_DIR: setting({
    group: 'Storage',
    schema: folder,
    fallback: '.data',
    about: 'Folder of the embedded Postgres and of generated development keys.',
  }),
  DATABASE_URL: setting({
    group: 'Storage',
    schema: url('postgres:', 'postgresql:').optional(),
    secret: true,
    example: 'postgres://nightjar:password@127.0.0.1:5432/nightjar',
    about:
      'Postgres 15 or newer. A socket has its folder as the host: postgres://nightjar:password@%2Fvar%2Frun%2Fpostgresql/nightjar. Unset: an embedded Postgres under DATA_DIR (not in production).',
  }),
  DATABASE_DIRECT_URL: setting({
    group: 'Storage',
    schema: url('postgres:', 'postgresql:').optional(),
    secret: true,
    example: 'postgres://nightjar:password@127.0.0.1:5432/nightjar',
    about: 'Used for LISTEN, migrations and jobs when DATABASE_URL goes through PgBouncer. Unset: DATABASE_URL.',
  }),
  DATABASE_POOL_SIZE: setting({
    group: 'Storage',
    schema: whole(2, 200),
    fallback: '10',
    about: 'Connections of one server process.',
  }),
  REDIS_URL: setting({
    group: 'Storage',
    schema: url('redis:', 'rediss:').optional(),
    secret: true,
    example: 'redis://:password@127.0.0.1:6379',
    about: 'Redis for the job queue. It may lose all data at any time; its maxmemory-policy must be noeviction.',
  }),
  QUEUE_BACKEND: setting({
    group: 'Storage',
    schema: z.enum(['postgres', 'redis']).optional(),
    example: 'postgres',
    about: 'Where the job queue is stored. Unset: redis when REDIS_URL is set, postgres otherwise.',
  }),
  MIGRATE_ON_START: setting({
    group: 'Storage',
    schema: flag.optional(),
    example: 'false',
    about: 'Apply migrations when the server starts. Unset: yes on the embedded Postgres, no otherwise.',
  }),
  IDENTITY_KEY: setting({
    group: 'Identity and tokens',
    schema: keyRing.optional(),
    secret: true,
    example: '1:<32 random bytes in base64>',
    about:
      'Key ring for names at rest: "<id>:<base64 of 32 bytes>", comma- or line-separated, the current key first. Without it names in the database cannot be read, so store a copy in another place. Generated under DATA_DIR outside production.',
  }),
  PLC_URL: setting({
    group: 'Identity and tokens',
    schema: url('http:', 'https:'),
    fallback: 'https://plc.directory',
    about: 'The did:plc directory.',
  }),
  DEVELOPMENT_IDENTITIES: setting({
    group: 'Identity and tokens',
    schema: flag.optional(),
    example: 'false',
    about:
      'People for development (alice, bob, carol and more), whose tokens this machine can request without a PDS. Unset: only for npm start in development, on the embedded Postgres, a loopback address and the public PLC_URL. Refused in production.',
  }),
  IDENTITY_ALLOW_PRIVATE_NETWORK: setting({
    group: 'Identity and tokens',
    schema: flag,
    fallback: 'false',
    about: 'Allow DID documents from loopback and private addresses. For tests; refused in production.',
  }),
  DID_CACHE_ENTRIES: setting({
    group: 'Identity and tokens',
    schema: whole(100, 1_000_000),
    fallback: '50000',
    about: 'DID documents cached in memory.',
  }),
  DID_RESOLUTION_TIMEOUT_MS: setting({
    group: 'Identity and tokens',
    schema: whole(100, 30_000),
    fallback: '3000',
    about: 'Time allowed to fetch a DID document.',
  }),
  BLOCK_CHECKS: setting({
    group: 'Identity and tokens',
    schema: flag,
    fallback: 'true',
    about:
      'Read block records of people from their own repositories (app.bsky.graph.block). False: no repository is queried and no block counts, for tests and closed networks.',
  }),
  ENFORCE_LXM: setting({
    group: 'Identity and tokens',
    schema: flag,
    fallback: 'true',
    about: 'Refuse tokens that do not name the called method. May be false only outside production.',
  }),
  ENFORCE_JTI: setting({
    group: 'Identity and tokens',
    schema: flag,
    fallback: 'true',
    about: 'Refuse a token that was used before. May be false only outside production.',
  }),
  JTI_TTL_SECONDS: setting({
    group: 'Identity and tokens',
    schema: whole(300, 86_400),
    fallback: '300',
    about: 'Minimum time for which a used token is stored; never shorter than the longest token lifetime (300).',
  }),
  MESSAGE_TTL_DAYS: setting({
    group: 'Messages and retention',
    schema: whole(1, 365),
    fallback: '30',
    about: 'Days for which a message can be fetched.',
  }),
  EVENT_STREAM_TTL_DAYS: setting({
    group: 'Messages and retention',
    schema: whole(1, 90),
    fallback: '7',
    about: 'Days for which an event can be replayed to a subscriber.',
  }),
  WELCOME_TTL_DAYS: setting({
    group: 'Messages and retention',
    schema: whole(1, 90),
    fallback: '7',
    about: 'Days for which a consumed Welcome is stored.',
  }),
  CONSUMED_KEY_PACKAGE_TTL_HOURS: setting({
    group: 'Messages and retention',
    schema: whole(1, 720),
    fallback: '24',
    about: 'Hours for which a key package is stored after its Welcome was consumed.',
  }),
  KEY_PACKAGE_TTL_DAYS: setting({
    group: 'Messages and retention',
    schema: whole(7, 365),
    fallback: '90',
    about:
      'Maximum days for which an unused key package and an unclaimed Welcome are stored; the last usable key package of a device is stored as long as the device.',
  }),
  DEVICE_INACTIVE_DAYS: setting({
    group: 'Messages and retention',
    schema: whole(30, 3_650),
    fallback: '90',
    about: 'Days without a request after which a device is flagged as inactive.',
  }),
  DEVICE_REMOVAL_DAYS: setting({
    group: 'Messages and retention',
    schema: whole(1, 3_650),
    fallback: '90',
    about: 'Days after which an inactive device is removed with its key packages and push token.',
  }),
  INVITE_TTL_DAYS: setting({
    group: 'Messages and retention',
    schema: whole(1, 365),
    fallback: '7',
    about: 'Days for which an invite is stored after it ended.',
  }),
  CHAT_REQUEST_TTL_DAYS: setting({
    group: 'Messages and retention',
    schema: whole(1, 365),
    fallback: '7',
    about: 'Days for which a chat request is stored after it expired, so that its recipient sees the outcome.',
  }),
  CHAT_MESSAGE_TTL_HOURS: setting({
    group: 'Messages and retention',
    schema: whole(1, 720),
    fallback: '24',
    about:
      'Hours for which the messages of an accepted chat request can be fetched again, in case the response was lost.',
  }),
  DEVICE_WAIT_DAYS: setting({
    group: 'Messages and retention',
    schema: whole(1, 90),
    fallback: '30',
    about: "Days for which a new device waits for members of its owner's conversations to add it.",
  }),
  IDEMPOTENCY_TTL_HOURS: setting({
    group: 'Messages and retention',
    schema: whole(1, 168),
    fallback: '24',
    about: 'Hours for which a repeated call with an idempotency key gets the first response.',
  }),
  SETTLE_INTERVAL_SECONDS: setting({
    group: 'Messages and retention',
    schema: whole(60, 3_600),
    fallback: '300',
    about:
      'Seconds for which changed lists of conversations and used key packages wait before they are written into the rows of people, in one batch; shorter when many wait. Clients see no delay. A longer time hides better who changed what.',
  }),
  REPORT_TTL_DAYS: setting({
    group: 'Messages and retention',
    schema: whole(1, 365),
    fallback: '30',
    about: 'Days for which a report (pending or decided) and the daily counts of removals are stored.',
  }),
  MAX_KEY_PACKAGES_PER_DEVICE: setting({
    group: 'Messages and retention',
    schema: whole(1, 1_000),
    fallback: '200',
    about: 'Maximum number of unused key packages of one device; the oldest are removed first.',
  }),
  TIME_BUCKET_SECONDS: setting({
    group: 'Messages and retention',
    schema: whole(1, 86_400),
    fallback: '60',
    about: 'Stored times are rounded down to a multiple of this.',
  }),
  REQUIRE_MLS_FRAMING: setting({
    group: 'Messages and retention',
    schema: flag,
    fallback: 'true',
    about: 'Refuse messages that are not valid MLS framing of the stated conversation and epoch.',
  }),
  ...rateLimitSettings,
  MAX_CONNECTIONS: setting({
    group: 'Operations',
    schema: whole(10, 1_000_000),
    fallback: '10000',
    about: 'Maximum number of open connections of one server process; further ones are closed at once.',
  }),
  MAX_CONNECTIONS_PER_ADDRESS: setting({
    group: 'Operations',
    schema: whole(1, 100_000),
    fallback: '64',
    about:
      'Maximum number of open connections of one server process from one IPv4 address or IPv6 /64. Not counted: proxies in TRUSTED_PROXY_CIDRS and, outside production, this machine. Raise it if many people reach the service through one address without a trusted proxy.',
  }),
  MAX_CONNECTIONS_PER_SECOND: setting({
    group: 'Operations',
    schema: whole(1, 100_000),
    fallback: '10',
    about:
      'New connections per second from one IPv4 address or IPv6 /64, after a burst of the maximum number of open connections.',
  }),
  CORS_ALLOW_ORIGINS: setting({
    group: 'Operations',
    schema: origins,
    fallback: '',
    example: 'https://app.example.com',
    about: 'Origins whose pages may call the service and open streams, comma-separated. Empty: none.',
  }),
  TRUSTED_PROXY_CIDRS: setting({
    group: 'Operations',
    schema: networks,
    fallback: '',
    example: '127.0.0.1/32',
    about: 'Networks of proxies whose TRUSTED_PROXY_HEADER is trusted, comma-separated. Empty: none.',
  }),
  TRUSTED_PROXY_HEADER: setting({
    group: 'Operations',
    schema: z
      .string()
      .regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'must be the name of a header')
      .refine((name) => !/^(forwarded|via)$/i.test(name), 'must not be Forwarded or Via, which are not read'),
    fallback: 'X-Forwarded-For',
    about:
      'The header in which the proxy names the client, once. Any header except X-Forwarded-For, such as X-Real-IP or CF-Connecting-IP, must contain exactly one address and be overwritten by the proxy.',
  }),
  TRUSTED_PROXY_HOPS: setting({
    group: 'Operations',
    schema: whole(1, 10),
    fallback: '1',
    about:
      'The number of trusted proxies in front of the service, and of entries of X-Forwarded-For that are read, from the right.',
  }),
  ADMIN_PORT: setting({
    group: 'Operations',
    schema: whole(0, 65_535),
    fallback: '8081',
    about: 'Loopback port of metrics and administration; 0 picks a free one.',
  }),
  WORKER_ADMIN_PORT: setting({
    group: 'Operations',
    schema: whole(0, 65_535),
    fallback: '8082',
    about: 'Loopback port of metrics and administration of a worker that runs without the server; 0 picks a free one.',
  }),
  LOG_LEVEL: setting({
    group: 'Operations',
    schema: z.enum([...logLevels, 'silent']).optional(),
    example: 'info',
    about: 'Minimum level of log lines. Unset: warn in production, info elsewhere.',
  }),
  LOG_FORMAT: setting({
    group: 'Operations',
    schema: z.enum(['json', 'text']).optional(),
    example: 'json',
    about: 'json: one JSON object in each line. text: lines for people. Unset: text on a terminal, json elsewhere.',
  }),
  ADMIN_KEY: setting({
    group: 'Operations',
    schema: z.string().min(24, 'must have at least 24 characters').optional(),
    secret: true,
    example: '<24 or more random characters>',
    about: 'Password of the user admin for the jobs page on the admin port (/jobs). Unset: there is no jobs page.',
  }),
  JOB_BOARD_WRITES: setting({
    group: 'Operations',
    schema: flag,
    fallback: 'false',
    about: 'Allow the jobs page to retry and remove runs; otherwise it is read-only.',
  }),
  JOB_LEASE_MS: setting({
    group: 'Operations',
    schema: whole(500, 600_000),
    fallback: '30000',
    about: 'A worker without a heartbeat for this long loses its lease of a job to another worker.',
  }),
  AUDIT_TTL_DAYS: setting({
    group: 'Operations',
    schema: whole(1, 3_650),
    fallback: '90',
    about: 'Days for which the counts and operator actions of the audit log are stored.',
  }),
  MAX_REQUESTS_IN_PROGRESS: setting({
    group: 'Operations',
    schema: whole(1, 1_000_000),
    fallback: '256',
    about:
      'Requests that one server process handles at once; further ones are refused with 503 and Retry-After. Requests that wait for their own body and open streams do not count.',
  }),
  SHUTDOWN_TIMEOUT_MS: setting({
    group: 'Operations',
    schema: whole(100, 120_000),
    fallback: '10000',
    about: 'Time for running requests to end when the server stops.',
  }),
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;

/** The parsed value of every setting, by the name of its environment variable. */
export type ParsedSettings = Readonly<{ [Name in SettingName]: z.output<(typeof settings)[Name]['schema']> }>;
