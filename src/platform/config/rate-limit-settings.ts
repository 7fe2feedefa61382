import { z } from 'zod';
import { limits } from '../limits.ts';
import { networks, whole } from './setting-schemas.ts';

interface QuotaSetting<Schema extends z.ZodType> {
  readonly group: 'Quotas';
  readonly schema: Schema;
  readonly fallback?: string;
  readonly about: string;
  readonly example?: string;
}

function row<Schema extends z.ZodType>(setting: Omit<QuotaSetting<Schema>, 'group'>): QuotaSetting<Schema> {
  return { group: 'Quotas', ...setting };
}

function quota(perMinute: number, about: string): QuotaSetting<z.ZodType<number>> {
  return row({ schema: whole(1, 1_000_000), fallback: String(perMinute), about: `${about}, per minute.` });
}

/**
 * The size of the largest request in KiB after base64 decoding. A quota with a lower limit would refuse this request
 * every time.
 */
const largestRequestKib = Math.ceil((limits.requestBodySizeBytesMax * 3) / 4 / 1024);

/** The settings of the quotas in `src/quota/table/quotas.ts`. */
export const rateLimitSettings = {
  QUOTA_STORE: row({
    schema: z.enum(['memory', 'postgres']).optional(),
    example: 'postgres',
    about:
      'Where requests of accounts are counted. memory: by each server process on its own. postgres: by all together. Unset: postgres when SERVER_COUNT or SERVER_PROCESSES is more than 1. Client addresses are always counted by each server process on its own, in memory.',
  }),
  SERVER_COUNT: row({
    schema: whole(1, 1_000),
    fallback: '1',
    about:
      'The number of servers that share the database, where the processes of SERVER_PROCESSES are one server. Several servers count the requests of accounts together; while that fails, each admits its share of a limit.',
  }),
  RATE_LIMIT_IP_PER_MINUTE: quota(60, 'Unauthenticated requests from one address'),
  RATE_LIMIT_IP_BURST: row({
    schema: whole(1, 10_000),
    fallback: '20',
    about: 'Unauthenticated requests from one address at once.',
  }),
  RATE_LIMIT_IP_NETWORK_PER_MINUTE: quota(
    480,
    'Unauthenticated requests from one IPv6 network (/48), in addition to the limit of each /64 in it',
  ),
  RATE_LIMIT_IP_NETWORK_BURST: row({
    schema: whole(1, 100_000),
    fallback: '160',
    about: 'Unauthenticated requests from one IPv6 network at once.',
  }),
  RATE_LIMIT_FAILED_AUTH_PER_MINUTE: quota(10, 'Forged or malformed tokens and tickets from one address'),
  AUTH_BAN_AFTER_FAILURES: row({
    schema: whole(0, 10_000),
    fallback: '20',
    about:
      'Forged or malformed tokens within a minute that ban the address for 1, 2, 4 … 60 minutes, unless as many requests from it are authenticated; eight times as many ban an IPv6 /48. 0: no bans.',
  }),
  CLIENT_ALLOW_CIDRS: row({
    schema: networks,
    fallback: '',
    example: '192.0.2.0/24',
    about: 'Networks of clients whose addresses are not counted by quotas and never banned, comma-separated.',
  }),
  CLIENT_DENY_CIDRS: row({
    schema: networks,
    fallback: '',
    example: '198.51.100.0/24',
    about: 'Networks of clients whose requests are refused, comma-separated; takes precedence over CLIENT_ALLOW_CIDRS.',
  }),
  RATE_LIMIT_SEND_MESSAGE: quota(100, 'sendMessage of one account'),
  RATE_LIMIT_PUBLISH_KEY_PACKAGE: quota(20, 'publishKeyPackage and publishKeyPackages of one account'),
  RATE_LIMIT_ADD_MEMBERS: quota(10, 'addMembers of one account'),
  RATE_LIMIT_COMMIT: quota(30, 'commit of one account'),
  RATE_LIMIT_REMOVE_MEMBER: quota(10, 'removeMember of one account'),
  RATE_LIMIT_CREATE_CONVO: quota(5, 'createConvo of one account'),
  RATE_LIMIT_REPORT_MEMBER: quota(5, 'reportMember of one account'),
  RATE_LIMIT_REGISTER_DEVICE: quota(10, 'registerDevice of one account'),
  RATE_LIMIT_CHECK_BLOCKS: quota(20, 'checkBlocks, getBlockStatus and handleBlockChange of one account'),
  RATE_LIMIT_PENDING_ADDITIONS: quota(30, 'getPendingDeviceAdditions of one account'),
  RATE_LIMIT_SYNC_KEY_PACKAGES: quota(30, 'syncKeyPackages of one account'),
  RATE_LIMIT_SEND_CHAT_REQUEST: quota(10, 'sendChatRequest and blockChatSender of one account'),
  RATE_LIMIT_GET_MESSAGES: quota(500, 'getMessages and getConvos of one account'),
  RATE_LIMIT_SUBSCRIBE: quota(30, 'Subscription tickets and connections of one account'),
  RATE_LIMIT_EXTERNAL_COMMIT: quota(10, 'processExternalCommit of one account'),
  RATE_LIMIT_DID_KIB_PER_MINUTE: row({
    schema: whole(largestRequestKib, 1_000_000_000),
    fallback: '20480',
    about: 'KiB of messages, commits and Welcomes that one account may send, per minute.',
  }),
  RATE_LIMIT_CONVO_KIB_PER_MINUTE: row({
    schema: whole(largestRequestKib, 1_000_000_000),
    fallback: '51200',
    about: 'KiB of messages and commits that all members of one conversation may send, per minute.',
  }),
  RATE_LIMIT_TARGET_KEY_PACKAGES_PER_HOUR: row({
    schema: whole(1, 1_000_000),
    fallback: '50',
    about:
      "Claims of one person's one-time key packages by all other accounts, per hour; further claims get the last-resort package.",
  }),
  RATE_LIMIT_TARGET_KEY_PACKAGES_PER_CALLER_HOUR: row({
    schema: whole(1, 1_000_000),
    fallback: '5',
    about: "Claims of one person's one-time key packages by one caller, per hour.",
  }),
  RATE_LIMIT_DID_DEFAULT: quota(200, 'Any other method of one account'),
} as const;
