import type { Config } from '#platform/config/config.ts';

type RateSetting = Extract<keyof Config, `RATE_LIMIT_${string}`>;

/**
 * The kind of subject that a limit counts. `address` is a client address before authentication, `caller` is the
 * authenticated account, `target` is the account that is acted on, and `conversation` is all members of a conversation
 * together.
 */
export type QuotaScope = 'address' | 'caller' | 'target' | 'conversation';

/** Describes one limit, with the subject that it counts, the setting of its rate, and what it protects. */
export interface Quota {
  readonly scope: QuotaScope;
  /** The setting with the maximum number of units in any window. */
  readonly setting: RateSetting;
  /** The counted unit as refusals name it; the default is requests. */
  readonly unit?: string;
  /** The width of the window; the default is `defaultWindowSeconds`. */
  readonly windowSeconds?: number;
  /** The maximum at once, which is the whole limit or the value of another setting. */
  readonly burst: 'limit' | RateSetting;
  readonly protects: string;
}

export const defaultWindowSeconds = 60;

/**
 * Every limit of the service. An endpoint names its row; an endpoint without a row is charged to `callerDefault`. The
 * numbers are the defaults of the settings in `src/platform/config/rate-limit-settings.ts`.
 */
export const quotas = {
  address: {
    scope: 'address',
    setting: 'RATE_LIMIT_IP_PER_MINUTE',
    burst: 'RATE_LIMIT_IP_BURST',
    protects: 'Signature checks and DID lookups from being spent on forged tokens.',
  },
  network: {
    scope: 'address',
    setting: 'RATE_LIMIT_IP_NETWORK_PER_MINUTE',
    burst: 'RATE_LIMIT_IP_NETWORK_BURST',
    protects: 'The same, from a site that has 65,536 IPv6 /64 prefixes; charged together with `address`.',
  },
  failedAuth: {
    scope: 'address',
    setting: 'RATE_LIMIT_FAILED_AUTH_PER_MINUTE',
    burst: 'limit',
    protects: 'Accounts and tickets from being guessed; only forged or malformed tokens count.',
  },
  sendMessage: {
    scope: 'caller',
    setting: 'RATE_LIMIT_SEND_MESSAGE',
    burst: 'limit',
    protects: 'Conversations from being flooded, and the message log from growing without bound.',
  },
  publishKeyPackages: {
    scope: 'caller',
    setting: 'RATE_LIMIT_PUBLISH_KEY_PACKAGE',
    burst: 'limit',
    protects: 'The checks of published key packages, which cost a signature each.',
  },
  addMembers: {
    scope: 'caller',
    setting: 'RATE_LIMIT_ADD_MEMBERS',
    burst: 'limit',
    protects: 'People from being pulled into many conversations, and epochs from being contested.',
  },
  commit: {
    scope: 'caller',
    setting: 'RATE_LIMIT_COMMIT',
    burst: 'limit',
    protects: 'Epochs from being contested by one account, and members from having to apply commits without end.',
  },
  removeMember: {
    scope: 'caller',
    setting: 'RATE_LIMIT_REMOVE_MEMBER',
    burst: 'limit',
    protects: 'Conversations from being emptied at once by a stolen account.',
  },
  createConvo: {
    scope: 'caller',
    setting: 'RATE_LIMIT_CREATE_CONVO',
    burst: 'limit',
    protects: 'People from being invited in bulk.',
  },
  reportMember: {
    scope: 'caller',
    setting: 'RATE_LIMIT_REPORT_MEMBER',
    burst: 'limit',
    protects: 'Admins from being flooded with reports.',
  },
  registerDevice: {
    scope: 'caller',
    setting: 'RATE_LIMIT_REGISTER_DEVICE',
    burst: 'limit',
    protects: 'Key package storage; clients try three times within 12 seconds.',
  },
  pendingAdditions: {
    scope: 'caller',
    setting: 'RATE_LIMIT_PENDING_ADDITIONS',
    burst: 'limit',
    protects: 'The decryption of rosters and of new devices, which each getPendingDeviceAdditions does.',
  },
  syncKeyPackages: {
    scope: 'caller',
    setting: 'RATE_LIMIT_SYNC_KEY_PACKAGES',
    burst: 'limit',
    protects: "The decryption of all of a device's available key packages, which each sync does.",
  },
  getMessages: {
    scope: 'caller',
    setting: 'RATE_LIMIT_GET_MESSAGES',
    burst: 'limit',
    protects: 'The database from polling; also counts getConvos.',
  },
  sendChatRequest: {
    scope: 'caller',
    setting: 'RATE_LIMIT_SEND_CHAT_REQUEST',
    burst: 'limit',
    protects:
      'People from getting requests of non-contacts in bulk; also counts blockChatSender, which stores a row each time.',
  },
  checkBlocks: {
    scope: 'caller',
    setting: 'RATE_LIMIT_CHECK_BLOCKS',
    burst: 'limit',
    protects:
      "Other people's servers, of which one call may query a hundred; also counts getBlockStatus and handleBlockChange.",
  },
  subscribe: {
    scope: 'caller',
    setting: 'RATE_LIMIT_SUBSCRIBE',
    burst: 'limit',
    protects: 'Open connections from being made and dropped in a loop.',
  },
  processExternalCommit: {
    scope: 'caller',
    setting: 'RATE_LIMIT_EXTERNAL_COMMIT',
    burst: 'limit',
    protects:
      'Epochs from being contested by an account that joins again and again, and commits of up to 10 MiB from being checked.',
  },
  callerBytes: {
    scope: 'caller',
    setting: 'RATE_LIMIT_DID_KIB_PER_MINUTE',
    unit: 'KiB',
    burst: 'limit',
    protects:
      "The message log and members' downloads from one account; each message, commit and Welcome counts by its size.",
  },
  conversationBytes: {
    scope: 'conversation',
    setting: 'RATE_LIMIT_CONVO_KIB_PER_MINUTE',
    unit: 'KiB',
    burst: 'limit',
    protects: 'Members from having to download without end; charged by what members send, and shown to members only.',
  },
  keyPackageTargetByCaller: {
    scope: 'target',
    setting: 'RATE_LIMIT_TARGET_KEY_PACKAGES_PER_CALLER_HOUR',
    unit: 'claims',
    windowSeconds: 3_600,
    burst: 'limit',
    protects:
      "One person's one-time key packages from one caller. No caller is refused: the last-resort package is returned instead.",
  },
  keyPackageTarget: {
    scope: 'target',
    setting: 'RATE_LIMIT_TARGET_KEY_PACKAGES_PER_HOUR',
    unit: 'claims',
    windowSeconds: 3_600,
    burst: 'limit',
    protects: "One person's one-time key packages from many callers together, in the same way.",
  },
  callerDefault: {
    scope: 'caller',
    setting: 'RATE_LIMIT_DID_DEFAULT',
    burst: 'limit',
    protects: 'Every endpoint that has no row of its own, counted together.',
  },
} as const satisfies Record<string, Quota>;

export type QuotaName = keyof typeof quotas;

/** Returns the unit that a row counts, in the plural. */
export function unitOf(quota: Quota): string {
  return quota.unit ?? 'requests';
}

/** Returns the width of a row's window in seconds. */
export function windowSecondsOf(quota: Quota): number {
  return quota.windowSeconds ?? defaultWindowSeconds;
}

type QuotaNameOf<Scope extends QuotaScope> = {
  [Name in QuotaName]: (typeof quotas)[Name]['scope'] extends Scope ? Name : never;
}[QuotaName];

/** The rows that an endpoint may declare as its quota. */
export type CallerQuotaName = QuotaNameOf<'caller'>;

/** The rows that count client addresses. */
export type AddressQuotaName = QuotaNameOf<'address'>;
