import { required } from '#platform/errors.ts';
import type { Plan } from '../plan.ts';
import type { BenchServer } from '../server/bench-server.ts';
import { createConversations } from './conversations.ts';
import type { SeededConversation } from './conversations.ts';
import { createPerson } from './people.ts';
import type { Person } from './people.ts';

/** One of the measured servers, with its people and 1,000 conversations of two members each. */
export interface Side {
  readonly server: BenchServer;
  readonly plan: Plan;
  readonly people: readonly Person[];
  readonly conversations: readonly SeededConversation[];
  /** Returns what the first call with this key made, so that the rounds of a workload share it. */
  once<T>(key: string, make: () => Promise<T>): Promise<T>;
}

const peopleCount = 64;

export async function openSide(server: BenchServer, plan: Plan): Promise<Side> {
  const people = Array.from({ length: peopleCount }, () => createPerson(server));
  const pairs = Array.from({ length: plan.conversations }, (_, index): [Person, Person] => [
    required(people[index % people.length], 'a person'),
    required(people[(index + 1) % people.length], 'a person'),
  ]);
  const conversations = await createConversations(server, pairs);
  const made = new Map<string, Promise<unknown>>();
  return {
    server,
    plan,
    people,
    conversations,
    once<T>(key: string, make: () => Promise<T>) {
      const known = made.get(key) ?? make();
      made.set(key, known);
      return known as Promise<T>;
    },
  };
}
