import type { Sql } from '#storage/connection/database.ts';

/** Reads the demo's stored rows as lines of text, with shortened pseudonyms and only the size of sealed values. */
export interface StoredRows {
  devices(): Promise<string[]>;
  keyPackages(): Promise<string[]>;
  conversation(): Promise<string[]>;
  members(): Promise<string[]>;
  welcomes(): Promise<string[]>;
  /** Returns the messages and commits after `seq`. */
  messages(seq: number): Promise<string[]>;
  /** Returns the number of rows of every table about conversations. */
  totals(): Promise<string[]>;
}

const roles = ['', 'member', 'moderator', 'admin'];
const memberStates = ['', 'active', 'left', 'removed'];
const packageStates = ['', 'available', 'handed out', 'consumed'];

export function readStoredRows(sql: Sql): StoredRows {
  return {
    async devices() {
      const rows = await sql<{ owner: Buffer; size: number }[]>`
        SELECT owner, octet_length(sealed_device) AS size FROM devices ORDER BY owner`;
      return rows.map(({ owner, size }) => `device: owner ${short(owner)}, sealed name ${size} B`);
    },
    async keyPackages() {
      const rows = await sql<{ owner: Buffer; state: number; lastResort: boolean; count: number; size: number }[]>`
        SELECT owner, state, last_resort AS "lastResort", count(*)::int AS count, max(octet_length(sealed_package)) AS size
        FROM key_packages GROUP BY owner, state, last_resort ORDER BY owner, last_resort, state`;
      return rows.map(({ owner, state, lastResort, count, size }) => {
        const kind = lastResort ? 'last resort' : (packageStates[state] ?? '');
        return `key packages: owner ${short(owner)}, ${count} ${kind}, sealed ${size} B`;
      });
    },
    async conversation() {
      const rows = await sql<{ groupId: Buffer; epoch: number; seq: number; metadata: number; groupInfo: number }[]>`
        SELECT c.group_id AS "groupId", k.epoch, k.last_seq AS seq, octet_length(c.sealed_metadata) AS metadata,
               octet_length(g.sealed_group_info) AS "groupInfo"
        FROM conversations c JOIN conversation_counters k USING (group_id) JOIN group_infos g USING (group_id)`;
      return rows.map(
        ({ groupId, epoch, seq, metadata, groupInfo }) =>
          `conversation ${short(groupId)}: epoch ${epoch}, seq ${seq}, sealed name ${metadata} B, sealed GroupInfo ${groupInfo} B`,
      );
    },
    async members() {
      const rows = await sql<{ member: Buffer; size: number; role: number; state: number }[]>`
        SELECT member, octet_length(sealed_did) AS size, role, state FROM members ORDER BY joined_event, member`;
      return rows.map(
        ({ member, size, role, state }) =>
          `member ${short(member)}: sealed DID ${size} B, ${roles[role] ?? ''}, ${memberStates[state] ?? ''}`,
      );
    },
    async welcomes() {
      const rows = await sql<{ recipient: Buffer; size: number }[]>`
        SELECT w.recipient, octet_length(m.sealed_welcome) AS size
        FROM welcomes w JOIN welcome_messages m USING (group_id, epoch) ORDER BY w.epoch`;
      return rows.map(({ recipient, size }) => `welcome: for ${short(recipient)}, sealed ${size} B`);
    },
    async messages(after) {
      const rows = await sql<{ seq: number; epoch: number; kind: number; size: number; receivedAt: Date }[]>`
        SELECT seq, epoch, kind, octet_length(body) AS size, received_at AS "receivedAt"
        FROM messages WHERE seq > ${after} ORDER BY seq`;
      return rows.map(
        ({ seq, epoch, kind, size, receivedAt }) =>
          `${kind === 2 ? 'commit (sealed)' : 'message'} ${seq}: epoch ${epoch}, ${size} B, ${receivedAt.toISOString().slice(11, 16)}, no sender`,
      );
    },
    async totals() {
      const rows = await sql<{ name: string; count: number }[]>`
        SELECT 'messages' AS name, count(*)::int AS count FROM messages
        UNION ALL SELECT 'events', count(*)::int FROM events
        UNION ALL SELECT 'members', count(*)::int FROM members
        UNION ALL SELECT 'accounts', count(*)::int FROM accounts`;
      return rows.map(({ name, count }) => `${name}: ${count} rows`);
    },
  };
}

function short(bytes: Buffer): string {
  return `${bytes.toString('hex').slice(0, 8)}…`;
}
