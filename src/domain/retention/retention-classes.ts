import { pastChatRequests, unfetchableRequestMessages } from '#domain/chat-requests/retention.ts';
import { expiredAdditionClaims } from '#domain/device-additions/retention.ts';
import { expiredWaitingLists, removableDevices } from '#domain/devices/retention.ts';
import { expiredIdempotencyKeys } from '#domain/idempotency/retention.ts';
import { endedInvites } from '#domain/invites/retention.ts';
import { selectSurplus } from '#domain/key-packages/expired-and-surplus-store.ts';
import { consumedKeyPackages, expiredKeyPackages, keyPackagesOf } from '#domain/key-packages/retention.ts';
import { oldRemovalCounts } from '#domain/membership/retention.ts';
import { oldReports } from '#domain/reports/retention.ts';
import { expiredWarnings } from '#domain/warnings/retention.ts';
import { consumedWelcomes, messagesOrphanedAfter, unclaimedWelcomes } from '#domain/welcomes/retention.ts';
import { oldAuditEvents } from '#storage/rows/audit-events.ts';
import { excluding } from '#storage/expiry/expiring-rows.ts';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';
import { oldOperatorActions } from '#storage/rows/operator-actions.ts';
import { expiredQuotaRows } from '#storage/rows/quota-rows.ts';
import { expiredReplayEntries } from '#storage/rows/replay-entries.ts';
import { expiredTokensNotBefore } from '#storage/rows/token-not-before.ts';
import type { Expiring, RetentionClass } from './retention-class.ts';

const byRow = (rows: ExpiringRows): Expiring => ({ by: 'row', rows });

/** All stored data that expires, in the order of the jobs; the page docs/retention.md is generated from it. */
export const retentionClasses = {
  messages: {
    what: 'Messages and commits, as ciphertext',
    keptFor: 'MESSAGE_TTL_DAYS days after receipt',
    settings: ['MESSAGE_TTL_DAYS'],
    table: 'messages',
    job: 'compact-messages',
    expiring: (config) => ({ by: 'partition', table: 'messages', retentionDays: config.MESSAGE_TTL_DAYS }),
  },
  events: {
    what: 'The event log, from which subscribers catch up; no content',
    keptFor: 'EVENT_STREAM_TTL_DAYS days',
    settings: ['EVENT_STREAM_TTL_DAYS'],
    table: 'events',
    job: 'compact-events',
    expiring: (config) => ({ by: 'partition', table: 'events', retentionDays: config.EVENT_STREAM_TTL_DAYS }),
  },
  'consumed-key-packages': {
    what: 'Key packages that a Welcome used',
    keptFor: 'CONSUMED_KEY_PACKAGE_TTL_HOURS hours after the Welcome, which may be sent again until then',
    settings: ['CONSUMED_KEY_PACKAGE_TTL_HOURS'],
    table: 'key_packages',
    job: 'clean-key-packages',
    expiring: (config) => byRow(consumedKeyPackages(config.CONSUMED_KEY_PACKAGE_TTL_HOURS)),
  },
  'expired-key-packages': {
    what: 'Other key packages',
    keptFor:
      'KEY_PACKAGE_TTL_DAYS days, or to the end of their own lifetime if that comes first; the last one of a device that can still be used, and its last-resort one, for as long as the device',
    settings: ['KEY_PACKAGE_TTL_DAYS'],
    table: 'key_packages',
    job: 'clean-key-packages',
    expiring: (config) =>
      byRow(excluding(expiredKeyPackages, consumedKeyPackages(config.CONSUMED_KEY_PACKAGE_TTL_HOURS))),
  },
  'surplus-key-packages': {
    what: 'Unused key packages of a device, from the oldest on',
    keptFor: 'while they are among the newest MAX_KEY_PACKAGES_PER_DEVICE, or the newest of their cipher suite',
    settings: ['MAX_KEY_PACKAGES_PER_DEVICE'],
    table: 'key_packages',
    job: 'clean-key-packages',
    expiring: (config) => ({
      by: 'number',
      count: async (db) => (await selectSurplus(db, config.MAX_KEY_PACKAGES_PER_DEVICE)).length,
    }),
  },
  'inactive-devices': {
    what: 'Devices, with their sealed names and push tokens',
    keptFor:
      'DEVICE_INACTIVE_DAYS days after they were last seen, when they are flagged, and DEVICE_REMOVAL_DAYS more; or until their owner deletes them',
    settings: ['DEVICE_INACTIVE_DAYS', 'DEVICE_REMOVAL_DAYS'],
    table: 'devices',
    job: 'retire-devices',
    expiring: (config) => byRow(removableDevices(config.DEVICE_REMOVAL_DAYS)),
  },
  'key-packages-of-inactive-devices': {
    what: 'Available key packages of inactive devices',
    keptFor: 'as long as the device: DEVICE_INACTIVE_DAYS and DEVICE_REMOVAL_DAYS days',
    settings: ['DEVICE_INACTIVE_DAYS', 'DEVICE_REMOVAL_DAYS'],
    table: 'key_packages',
    job: 'retire-devices',
    expiring: (config) =>
      byRow(excluding(keyPackagesOf(removableDevices(config.DEVICE_REMOVAL_DAYS)), expiredKeyPackages)),
  },
  'consumed-welcomes': {
    what: 'The recipient of a used Welcome, by pseudonyms of the conversation',
    keptFor: 'WELCOME_TTL_DAYS days after it was used',
    settings: ['WELCOME_TTL_DAYS'],
    table: 'welcomes',
    job: 'clean-welcomes',
    expiring: (config) => byRow(consumedWelcomes(config.WELCOME_TTL_DAYS)),
  },
  'unclaimed-welcomes': {
    what: 'The recipient of an unused Welcome, by pseudonyms of the conversation',
    keptFor: 'KEY_PACKAGE_TTL_DAYS days: no key package of its time can open it afterwards',
    settings: ['KEY_PACKAGE_TTL_DAYS'],
    table: 'welcomes',
    job: 'clean-welcomes',
    expiring: (config) => byRow(unclaimedWelcomes(config.KEY_PACKAGE_TTL_DAYS)),
  },
  'welcome-messages': {
    what: 'Sealed Welcomes',
    keptFor: 'as long as a recipient has a row in one of the two classes above, and for an hour at least',
    settings: [],
    table: 'welcome_messages',
    job: 'clean-welcomes',
    expiring: (config) =>
      byRow(
        messagesOrphanedAfter([
          consumedWelcomes(config.WELCOME_TTL_DAYS),
          unclaimedWelcomes(config.KEY_PACKAGE_TTL_DAYS),
        ]),
      ),
  },
  invites: {
    what: 'Invites',
    keptFor:
      'INVITE_TTL_DAYS days after they expired or were revoked; used-up invites INVITE_TTL_DAYS days after they were made',
    settings: ['INVITE_TTL_DAYS'],
    table: 'invites',
    job: 'clean-invites',
    expiring: (config) => byRow(endedInvites(config.INVITE_TTL_DAYS)),
  },
  'chat-request-messages': {
    what: 'Sealed messages that wait with a chat request',
    keptFor: 'until the request is declined or expires, or CHAT_MESSAGE_TTL_HOURS hours after it was accepted',
    settings: ['CHAT_MESSAGE_TTL_HOURS'],
    table: 'chat_request_messages',
    job: 'clean-chat-requests',
    expiring: (config) => byRow(unfetchableRequestMessages(config.CHAT_MESSAGE_TTL_HOURS)),
  },
  'chat-requests': {
    what: 'Chat requests',
    keptFor: 'CHAT_REQUEST_TTL_DAYS days after they expire, so that the recipient can read their state',
    settings: ['CHAT_REQUEST_TTL_DAYS'],
    table: 'chat_requests',
    job: 'clean-chat-requests',
    expiring: () => byRow(pastChatRequests),
  },
  'device-waiting-lists': {
    what: 'The sealed list of conversations that a new device waits to be added to',
    keptFor: 'DEVICE_WAIT_DAYS days',
    settings: ['DEVICE_WAIT_DAYS'],
    table: 'devices',
    job: 'clean-device-additions',
    expiring: (config) => byRow(expiredWaitingLists(config.DEVICE_WAIT_DAYS)),
  },
  'device-addition-claims': {
    what: 'Sealed claims on adding a new device, so that two members do not add it at once',
    keptFor: 'DEVICE_WAIT_DAYS days, to the end of the day',
    settings: ['DEVICE_WAIT_DAYS'],
    table: 'device_additions',
    job: 'clean-device-additions',
    expiring: () => byRow(expiredAdditionClaims),
  },
  'replay-entries': {
    what: 'Used tokens and tickets, as HMACs with a daily key',
    keptFor: 'JTI_TTL_SECONDS seconds, or until the token has expired for every clock if that is later',
    settings: ['JTI_TTL_SECONDS'],
    table: 'replay_entries',
    job: 'clean-replay-entries',
    expiring: () => byRow(expiredReplayEntries),
  },
  'refused-tokens': {
    what: 'Accounts whose older tokens an operator refuses',
    keptFor: '10 minutes, longer than the lifetime of a token; those of suspended accounts until they are resumed',
    settings: [],
    table: 'token_not_before',
    job: 'clean-replay-entries',
    expiring: () => byRow(expiredTokensNotBefore),
  },
  'quota-rows': {
    what: 'Request counts, under HMACs with a daily key',
    keptFor: 'until the quota is full again, rounded up to five minutes',
    settings: [],
    table: 'quota_rows',
    job: 'clean-replay-entries',
    expiring: () => byRow(expiredQuotaRows),
  },
  'idempotency-keys': {
    what: 'Sealed responses to calls with an idempotency key',
    keptFor: 'IDEMPOTENCY_TTL_HOURS hours, for retries by clients',
    settings: ['IDEMPOTENCY_TTL_HOURS'],
    table: 'idempotency_keys',
    job: 'clean-idempotency-keys',
    expiring: () => byRow(expiredIdempotencyKeys),
  },
  warnings: {
    what: 'Sealed warnings to members',
    keptFor: 'until the expiry that their author chose, EVENT_STREAM_TTL_DAYS days at most',
    settings: ['EVENT_STREAM_TTL_DAYS'],
    table: 'warnings',
    job: 'clean-reports',
    expiring: () => byRow(expiredWarnings),
  },
  reports: {
    what: 'Sealed reports, resolved or not',
    keptFor: 'REPORT_TTL_DAYS days',
    settings: ['REPORT_TTL_DAYS'],
    table: 'reports',
    job: 'clean-reports',
    expiring: (config) => byRow(oldReports(config.REPORT_TTL_DAYS)),
  },
  'removal-counts': {
    what: 'How many members were removed from a conversation on a day',
    keptFor: 'REPORT_TTL_DAYS days, to the end of the day',
    settings: ['REPORT_TTL_DAYS'],
    table: 'removal_counts',
    job: 'clean-reports',
    expiring: (config) => byRow(oldRemovalCounts(config.REPORT_TTL_DAYS)),
  },
  'audit-counts': {
    what: 'Counts in the audit log, without names of people',
    keptFor: 'AUDIT_TTL_DAYS days',
    settings: ['AUDIT_TTL_DAYS'],
    table: 'audit_events',
    job: 'clean-audit-events',
    expiring: (config) => byRow(oldAuditEvents(config.AUDIT_TTL_DAYS)),
  },
  'operator-actions': {
    what: 'Commands of operators, without the people whom they affected',
    keptFor: 'AUDIT_TTL_DAYS days; the newest row always stays, so that numbers continue',
    settings: ['AUDIT_TTL_DAYS'],
    table: 'operator_actions',
    job: 'clean-audit-events',
    expiring: (config) => byRow(oldOperatorActions(config.AUDIT_TTL_DAYS)),
  },
} as const satisfies Record<string, RetentionClass>;

export type RetentionClassName = keyof typeof retentionClasses;

// The cast is safe, because RetentionClassName is defined as the keys of this object.
export const retentionClassNames = Object.keys(retentionClasses) as readonly RetentionClassName[];
