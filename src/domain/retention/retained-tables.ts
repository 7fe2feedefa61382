import type { Tables } from '#storage/schema/tables.ts';
import type { retentionClasses, RetentionClassName } from './retention-classes.ts';

/** Tables none of whose rows goes by itself. */
type KeptTable = Exclude<keyof Tables, (typeof retentionClasses)[RetentionClassName]['table']>;

/** What is kept until somebody removes it, and why no time ends it. */
export const retainedTables: Readonly<Record<KeptTable, string>> = {
  conversations: 'The group lives for as long as its members use it, also with all messages gone.',
  conversation_counters: 'Numbers of messages are never used twice, so their counter stays.',
  group_infos: 'One for each conversation, written anew with each epoch: a device that lost its state joins by it.',
  members: 'Also those who left: only they are told that they are no members any more.',
  policies: 'One for each conversation, what its admins decided.',
  accounts: 'One for each person: the sealed list of their conversations, and their settings.',
  used_key_packages:
    'Which key packages were used lately; each goes when it stands in the row of the package, within SETTLE_INTERVAL_SECONDS.',
  conversation_list_changes:
    'Memberships that have changed lately; each goes when it stands in the list of the account, within SETTLE_INTERVAL_SECONDS.',
  last_settlement: 'One row: when that was last done.',
  chat_sender_blocks: 'Somebody blocked a sender, until they take it back.',
  cursor_generation: 'One row: the number of the database itself.',
  identity_keys: 'One row for each key that the database was written with.',
  replay_birth: 'One row: since when used tokens are remembered.',
  job_turns: 'One row for each job: when it last ran.',
};
