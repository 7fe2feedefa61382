import { createConversation } from '#domain/conversations/create-conversation.ts';
import { noBlockRecords } from '#identity/block-records/block-records.ts';
import { systemClock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import { createPerson } from './people.ts';
import type { Person } from './people.ts';
import type { BenchServer } from './bench-server.ts';

/** Conversations with two members each, which the service has created, and the people in them. */
export interface Seed {
  readonly people: readonly Person[];
  readonly conversations: readonly SeededConversation[];
}

export interface SeededConversation {
  readonly groupId: Buffer;
  readonly id: string;
  readonly members: readonly [Person, Person];
}

const timeBucketSeconds = 60;
const atOnce = 8;

export async function seed(server: BenchServer, size: { people: number; conversations: number }): Promise<Seed> {
  const people = Array.from({ length: size.people }, () => createPerson(server));
  const pairs = Array.from({ length: size.conversations }, (_, index) => {
    const first = people[index % people.length];
    const second = people[(index + 1) % people.length];
    if (first === undefined || second === undefined) throw new Error('no people');
    return [first, second] as const;
  });
  const conversations: SeededConversation[] = [];
  for (let start = 0; start < pairs.length; start += atOnce) {
    const batch = pairs.slice(start, start + atOnce).map((members) => createOne(server, members));
    conversations.push(...(await Promise.all(batch)));
  }
  return { people, conversations };
}

async function createOne(server: BenchServer, members: readonly [Person, Person]): Promise<SeededConversation> {
  const groupId = newSecret(16);
  const id = groupId.toString('hex');
  await createConversation(
    {
      db: server.database.db,
      privacy: server.privacy,
      clock: systemClock,
      blocks: noBlockRecords,
      timeBucketSeconds,
      idempotencyTtlHours: 24,
      messageTtlDays: 30,
      onEvents: () => undefined,
    },
    members[0],
    {
      groupId: id,
      cipherSuite: 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519',
      initialMembers: [members[1].did],
      welcome: undefined,
      groupInfo: undefined,
      metadata: undefined,
      currentEpoch: undefined,
    },
  );
  return { groupId, id, members };
}
