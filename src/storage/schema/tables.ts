import type { ColumnType, Generated } from 'kysely';

/**
 * Row types of every table, in which int8 columns are safe integers. A test in `test/conventions` compares the types
 * with the migrated database.
 */
export interface Tables {
  cursor_generation: CursorGenerationTable;
  identity_keys: IdentityKeysTable;
  conversations: ConversationsTable;
  conversation_counters: ConversationCountersTable;
  group_infos: GroupInfosTable;
  members: MembersTable;
  policies: PoliciesTable;
  invites: InvitesTable;
  accounts: AccountsTable;
  device_additions: DeviceAdditionsTable;
  chat_requests: ChatRequestsTable;
  chat_request_messages: ChatRequestMessagesTable;
  chat_sender_blocks: ChatSenderBlocksTable;
  devices: DevicesTable;
  key_packages: KeyPackagesTable;
  used_key_packages: UsedKeyPackagesTable;
  conversation_list_changes: ConversationListChangesTable;
  last_settlement: LastDeferredWritesTable;
  welcome_messages: WelcomeMessagesTable;
  welcomes: WelcomesTable;
  messages: MessagesTable;
  events: EventsTable;
  removal_counts: RemovalCountsTable;
  warnings: WarningsTable;
  reports: ReportsTable;
  idempotency_keys: IdempotencyKeysTable;
  replay_entries: ReplayEntriesTable;
  replay_birth: ReplayBirthTable;
  token_not_before: TokenNotBeforeTable;
  quota_rows: QuotaRowsTable;
  job_turns: JobLeasesTable;
  audit_events: AuditEventsTable;
  operator_actions: OperatorActionsTable;
}

interface CursorGenerationTable {
  only_row: Generated<boolean>;
  generation: Generated<Buffer>;
  cluster: string | null;
}

interface IdentityKeysTable {
  key_id: number;
  fingerprint: Buffer;
}

export interface ConversationsTable {
  group_id: Buffer;
  cipher_suite: number;
  sealed_creator: Buffer;
  sealed_metadata: Buffer | null;
  created_at: ColumnType<Date, Date, never>;
}

export interface ConversationCountersTable {
  group_id: Buffer;
  epoch: number;
  last_seq: Generated<number>;
  last_event: Generated<number>;
  /** The log position of the conversation's last event. */
  last_position: Generated<number>;
}

interface GroupInfosTable {
  group_id: Buffer;
  epoch: number;
  sealed_group_info: Buffer;
  updated_at: Date;
  context_digest: Buffer | null;
}

export interface MembersTable {
  group_id: Buffer;
  /** Pseudonym of purpose 'member', scoped to the conversation. */
  member: Buffer;
  key_id: number;
  sealed_did: Buffer;
  /** 1 member, 2 moderator, 3 admin. */
  role: number;
  /** 1 active, 2 left, 3 removed. */
  state: number;
  joined_at: Date;
  joined_seq: number;
  joined_event: number;
  left_event: number | null;
  /** When the present role was granted; null for ordinary members and for members who joined with their role. */
  promoted_at: Date | null;
  /** True when the person has left or was removed, but no commit has removed their leaves from the MLS group. */
  removal_pending: Generated<boolean>;
  /** True when the member has lost the group's state and requested to be added again. */
  needs_rejoin: Generated<boolean>;
  readdition_asked_at: Date | null;
  group_info_asked_at: Date | null;
}

interface PoliciesTable {
  group_id: Buffer;
  allow_invites: boolean;
  admin_only_invites: boolean;
  allow_member_add: boolean;
  allow_member_remove: boolean;
  require_admin_approval: boolean;
  max_members: number;
  handshakes: 'any' | 'plaintext' | 'encrypted';
  sealed_updated_by: Buffer;
  updated_at: Date;
}

interface InvitesTable {
  invite_id: string;
  group_id: Buffer;
  /** Numbers the invites of a conversation from 1, because times are too coarse to order them. */
  invite_no: number;
  /** Pseudonym of the PSK hash, scoped to the conversation. */
  secret: Buffer;
  key_id: number;
  /** Contains `InviteDetails` (src/domain/invites/invite.ts). */
  sealed_invite: Buffer;
  created_at: Date;
  expires_at: Date | null;
  max_uses: number | null;
  use_count: Generated<number>;
  revoked_at: Date | null;
  sealed_revoked_by: Buffer | null;
}

interface RemovalCountsTable {
  group_id: Buffer;
  day: string;
  removals: number;
}

interface WarningsTable {
  group_id: Buffer;
  /** The number of the event that delivers the warning. */
  event_no: number;
  sealed_warning: Buffer;
  expires_at: Date;
}

interface ReportsTable {
  report_id: string;
  group_id: Buffer;
  /** Numbers the reports of a conversation from 1, because times are too coarse to order them. */
  report_no: number;
  /** A number from `categories` in src/domain/reports/report.ts. */
  category: number;
  /** 1 pending, 2 resolved, 3 dismissed. */
  state: number;
  sealed_parties: Buffer;
  sealed_content: Buffer;
  submitted_at: Date;
  sealed_resolution: Buffer | null;
  resolved_at: Date | null;
}

interface AccountsTable {
  /** Pseudonym of purpose 'account', without scope. */
  account: Buffer;
  key_id: number;
  sealed_did: Buffer;
  sealed_list: Buffer;
  /** Null in rows written before migrations/0007. */
  sealed_settings: Buffer | null;
  /** False from each write until the row is shuffled (rows/shuffled-rows.ts). */
  mixed: Generated<boolean>;
}

interface ChatRequestsTable {
  /** Pseudonym of the public id, of purpose 'chat-request-id'. */
  request_id: string;
  /** Pseudonym of purpose 'chat-recipient'. */
  recipient: Buffer;
  /** Pseudonym of the sender, of purpose 'chat-pair', scoped to the recipient. */
  pair: Buffer;
  key_id: number;
  /** 1 pending, 2 accepted, 3 declined, 4 blocked, 5 never shown. */
  state: number;
  sealed_request: Buffer;
  message_count: number;
  created_at: Date;
  /** When the request expires for the recipient. */
  expires_at: Date;
  answered_at: Date | null;
  /** When the row is removed. */
  kept_until: Date;
  /** False from each write until the row is shuffled (rows/shuffled-rows.ts). */
  mixed: Generated<boolean>;
}

interface ChatRequestMessagesTable {
  request_id: string;
  sequence: number;
  sealed_message: Buffer;
  /** False from each write until the row is shuffled (rows/shuffled-rows.ts). */
  mixed: Generated<boolean>;
}

interface ChatSenderBlocksTable {
  /** Pseudonym of the sender, of purpose 'chat-block', scoped to the recipient. */
  pair: Buffer;
  key_id: number;
  sealed_people: Buffer;
  /** False from each write until the row is shuffled (rows/shuffled-rows.ts). */
  mixed: Generated<boolean>;
}

export interface DevicesTable {
  device_id: string;
  /** Pseudonym of purpose 'device-owner'. */
  owner: Buffer;
  key_id: number;
  /** Pseudonym of the signature key, scoped to the owner; equal to `key_packages.device_tag`. */
  tag: Buffer;
  /** Pseudonym of the UUID that the client chose, scoped to the owner. */
  uuid_tag: Buffer | null;
  sealed_device: Buffer;
  registered_at: Date;
  /** Rounded down to a day. */
  last_seen_at: Date;
  sealed_did: Buffer | null;
  sealed_push_token: Buffer | null;
  /** The conversations to which the new device must still be added; null after DEVICE_WAIT_DAYS. */
  sealed_waiting: Buffer | null;
  waiting_since: Date | null;
  /** The day on which the device was flagged as inactive, after DEVICE_INACTIVE_DAYS without activity. */
  inactive_since: Date | null;
  /** False from each write until the row is shuffled (rows/shuffled-rows.ts). */
  mixed: Generated<boolean>;
}

interface DeviceAdditionsTable {
  /** Pseudonym of a conversation and a client of a device, of purpose 'device-addition'. */
  addition: Buffer;
  key_id: number;
  /** Contains who claimed the addition and until when, or that the addition is complete. */
  sealed_claim: Buffer;
  /** The day from which the row may be removed. */
  expires_on: Date;
}

export interface KeyPackagesTable {
  /** Pseudonym of the KeyPackageRef, of purpose 'key-package-ref'. */
  ref: Buffer;
  /** Pseudonym of purpose 'key-package-owner'. */
  owner: Buffer;
  key_id: number;
  device_tag: Buffer;
  cipher_suite: number;
  last_resort: boolean;
  /** 1 available, 2 claimed, 3 consumed. */
  state: number;
  sealed_did: Buffer;
  sealed_package: Buffer;
  published_at: Date;
  /** The end of the lifetime in the key package (RFC 9420 section 7.2). */
  expires_at: Date;
  claimer: Buffer | null;
  claimed_at: Date | null;
  consumed_at: Date | null;
  /**
   * When the row is removed, unless it is the last key package of an active device. Null in rows written before
   * migrations/0015.
   */
  kept_until: Date | null;
  /** False from each write until the row is shuffled (rows/shuffled-rows.ts). */
  mixed: Generated<boolean>;
}

interface UsedKeyPackagesTable {
  /** Pseudonym of `key_packages.ref`, of purpose 'key-package-use'. */
  use: Buffer;
  sealed_ref: Buffer;
  /** The day on which the key package was used. */
  used_on: Date;
}

interface ConversationListChangesTable {
  /** A random id, so that it does not reveal the order of the changes. */
  change_id: string;
  group_id: Buffer;
  /** The pseudonym in `members.member`. */
  member: Buffer;
}

interface LastDeferredWritesTable {
  only_row: Generated<boolean>;
  settled_at: Date;
}

interface WelcomeMessagesTable {
  group_id: Buffer;
  /** The epoch that the Welcome's commit created. An epoch has one commit, and therefore at most one Welcome. */
  epoch: number;
  sealed_welcome: Buffer;
  created_at: Date;
}

interface WelcomesTable {
  group_id: Buffer;
  /** Pseudonym of the KeyPackageRef, scoped to the conversation. */
  ref: Buffer;
  epoch: number;
  /** Pseudonym of purpose 'welcome-recipient', scoped to the conversation. */
  recipient: Buffer;
  device: Buffer;
  key_id: number;
  /** 1 available, 2 fetched, 3 consumed. */
  state: number;
  created_at: Date;
  fetched_at: Date | null;
  consumed_at: Date | null;
}

export interface MessagesTable {
  group_id: Buffer;
  seq: number;
  epoch: number;
  /** A number from `messageKinds` in src/domain/messages/message.ts. */
  kind: number;
  msg_id: string;
  received_at: Date;
  body: Buffer;
}

export interface EventsTable {
  group_id: Buffer;
  position: number;
  /** Numbers the events of a conversation from 1, and orders events that have one position. */
  event_no: number;
  received_at: Date;
  /** A number from `eventKinds` in src/domain/events/event.ts. */
  kind: number;
  seq: number | null;
  epoch: number | null;
  /** The person who joined, left, was removed or got another role. Servers use the DID to find the streams to update. */
  sealed_did: Buffer | null;
  /** Identifies the object of the event, unless the object is the message `seq`. */
  reference: string | null;
}

interface IdempotencyKeysTable {
  /** Pseudonym of purpose 'idempotency-key', scoped to method and caller. */
  digest: Buffer;
  input_digest: Buffer;
  /**
   * The response; null until the end of the transaction that inserted the key, and always null for items of batches.
   */
  sealed_answer: Buffer | null;
  expires_at: Date;
}

interface ReplayEntriesTable {
  digest: Buffer;
  expires_at: Date;
}

interface ReplayBirthTable {
  only_row: Generated<boolean>;
  born_at: Date;
}

interface TokenNotBeforeTable {
  /** Pseudonym of purpose 'token-not-before'. */
  account: Buffer;
  sealed_did: Buffer;
  /** Infinite for a suspended account. */
  not_before: Date;
  expires_at: Date;
}

interface QuotaRowsTable {
  /** Pseudonym of purpose 'quota', scoped to a day. */
  name: Buffer;
  due_at: number | null;
  first_slot: number | null;
  counts: number[] | null;
  expires_at: Date;
}

interface JobLeasesTable {
  job: string;
  /** When a worker first registered the job. Used instead of `succeeded_at` until the job succeeds. */
  registered_at: Generated<Date>;
  /** The fencing token, which increases with every lease of the job. */
  fence: Generated<number>;
  /** The scheduled time of the last acquired lease. */
  turn_at: Generated<Date>;
  beat_at: Date | null;
  is_running: Generated<boolean>;
  succeeded_at: Date | null;
  paused_at: Date | null;
}

interface AuditEventsTable {
  bucket: Date;
  kind: string;
  subject: string;
  count: number;
}

interface OperatorActionsTable {
  action_no: number;
  taken_at: Date;
  action: string;
  subject: string;
  key_id: number;
  previous_digest: Buffer;
  digest: Buffer;
}
