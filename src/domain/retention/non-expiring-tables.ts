import type { Tables } from '#storage/schema/tables.ts';
import type { retentionClasses, RetentionClassName } from './retention-classes.ts';

/** The names of the tables that no retention class covers. */
type NonExpiringTable = Exclude<keyof Tables, (typeof retentionClasses)[RetentionClassName]['table']>;

/** The reasons why the rows of these tables do not expire. */
export const nonExpiringTables: Readonly<Record<NonExpiringTable, string>> = {
  conversations: 'Members may use a group for as long as they like, also after all its messages have expired.',
  conversation_counters: 'Message numbers are never reused, so the counter stays.',
  group_infos: 'One row for each conversation, replaced in each epoch; a device that lost its state joins with it.',
  members: 'Rows of people who left stay, so that they get NotMember and not ConvoNotFound.',
  policies: 'One row for each conversation: the rules that its admins set.',
  accounts: 'One row for each person: the sealed list of their conversations, and their settings.',
  used_key_packages:
    'Recent uses of key packages; each is deleted when it has been written into the row of the key package, within SETTLE_INTERVAL_SECONDS.',
  conversation_list_changes:
    'Recent changes of memberships; each is deleted when it has been written into the list of the account, within SETTLE_INTERVAL_SECONDS.',
  last_settlement: 'One row: when deferred writes were last applied.',
  chat_sender_blocks: 'One row for each sender that a person blocks, until they unblock the sender.',
  cursor_generation: 'One row: the generation of the database, which cursors carry.',
  identity_keys: 'One row for each key with which the database was written.',
  replay_birth: 'One row: since when used tokens are stored.',
  job_turns: 'One row for each job: its lease and its last run.',
};
