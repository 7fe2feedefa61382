import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openPerson } from '../client/person.ts';
import type { TestPerson } from '../client/person.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { buildForeignProgram, startMember } from './foreign-program.ts';
import type { RunningMember } from './foreign-program.ts';
import { startHoldingProxy } from './holding-proxy.ts';

// The example in Rust on OpenMLS (examples/member.rs), in a group that @nightjar/client made with ts-mls.

let bed: TestBed;
let missing: string | undefined;
beforeAll(async () => {
  missing = await buildForeignProgram();
  bed = await startTestBed();
}, 900_000);
afterAll(() => bed?.stop());

const timeout = 60_000;
const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout, interval: 50 });

async function open(
  name: string,
  url = bed.server().url,
): Promise<{ person: TestPerson; rust: RunningMember; convoId: string }> {
  const account = bed.account();
  const member = bed.account();
  const rust = startMember({ server: { url, serviceDid: bed.server().serviceDid }, account: member });
  await until(() => expect(rust.lines).toEqual(['registered']));
  const nameOf = (did: string): string => (did === member.did ? 'Rust' : name);
  const person = await openPerson({ account, server: bed.server(), nameOf });
  const convoId = await person.messenger.createConversation([member.did]);
  return { person, rust, convoId };
}

test(
  'a member in Rust joins a group of ts-mls; both send, read and commit, and the member leaves',
  { timeout: 4 * timeout },
  async ({ skip }) => {
    skip(missing !== undefined, missing);
    const { person, rust, convoId } = await open('Alice');
    try {
      await person.say(convoId, 'Hello.');
      await until(() => expect(person.texts(convoId)).toEqual(['Alice: Hello.', 'Rust: I read: Hello.']));
      await person.messenger.updateKeys(convoId);
      await person.say(convoId, 'After my commit.');
      await until(() => expect(person.texts(convoId).at(-1)).toBe('Rust: I read: After my commit.'));
      await person.say(convoId, '/renew');
      await until(() => expect(person.messenger.group(convoId)?.epoch).toBe(3));
      await person.say(convoId, 'After your commit.');
      await until(() => expect(person.texts(convoId).at(-1)).toBe('Rust: I read: After your commit.'));
      await person.say(convoId, '/leave');
      expect(await rust.ended).toBe(0);
      await until(() => expect(person.messenger.group(convoId)?.members).toEqual([person.messenger.did]));
      expect(rust.lines).toEqual([
        'registered',
        'joined',
        'read Hello.',
        'commit of another member, epoch 2',
        'read After my commit.',
        'read /renew',
        'own commit, epoch 3',
        'read After your commit.',
        'read /leave',
        'left',
      ]);
      expect(person.errors).toEqual([]);
    } finally {
      rust.kill();
      await person.messenger.close();
    }
  },
);

test(
  'a member in Rust that loses its epoch to a commit of ts-mls makes its commit again',
  { timeout: 4 * timeout },
  async ({ skip }) => {
    skip(missing !== undefined, missing);
    const proxy = await startHoldingProxy(bed.server().url);
    const { person, rust, convoId } = await open('Alice', proxy.url);
    try {
      const arriving = proxy.hold('commit');
      await person.say(convoId, '/renew');
      const commit = await arriving;
      await person.messenger.updateKeys(convoId);
      commit.release();
      await until(() => expect(person.messenger.group(convoId)?.epoch).toBe(3));
      await person.say(convoId, 'After both commits.');
      await until(() => expect(person.texts(convoId).at(-1)).toBe('Rust: I read: After both commits.'));
      expect(rust.lines.slice(2)).toEqual([
        'read /renew',
        'lost epoch 2',
        'commit of another member, epoch 2',
        'own commit, epoch 3',
        'read After both commits.',
      ]);
      expect(person.errors).toEqual([]);
    } finally {
      rust.kill();
      await person.messenger.close();
      await proxy.close();
    }
  },
);
