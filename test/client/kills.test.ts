import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import type { Account } from '../support/clients/account.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { keyPackageUseIn, readJournal } from './journal.ts';
import type { JournalWrite } from './journal.ts';
import type { ChildLine, MessengerChildOptions } from './messenger-child.ts';
import { eventually } from './eventually.ts';
import { openPerson } from './person.ts';
import type { TestPerson } from './person.ts';

/** A long run: `CLIENT_KILLS=100`. */
const killCount = Number(process.env['CLIENT_KILLS'] ?? 6);

let bed: TestBed;
let folder: string;
let alice: TestPerson;
let bob: Account;

beforeAll(async () => {
  bed = await startTestBed();
  folder = await mkdtemp(join(tmpdir(), 'nightjar-client-'));
  alice = await openPerson({ account: bed.account(), server: bed.server() });
  bob = bed.account({ curve: 'p256' });
});
afterAll(async () => {
  await alice.messenger.close();
  await bed.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Child {
  readonly process: ChildProcessWithoutNullStreams;
  readonly opened: Promise<void>;
}

/** Starts bob's device on the storage of its predecessor. */
function startBob(lines: ChildLine[]): Child {
  const options: MessengerChildOptions = {
    serviceUrl: bed.server().url,
    serviceDid: bed.server().serviceDid,
    did: bob.did,
    privateKeyPem: bob.privateKeyPem(),
    folder,
  };
  const script = join(import.meta.dirname, 'messenger-child.ts');
  const child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'pipe'] });
  const { promise: opened, resolve } = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as ChildLine;
    if (line.kind === 'open') resolve();
    lines.push(line);
  });
  child.stdin.on('error', () => undefined);
  return { process: child, opened };
}

/** Texts in the order of their sequence numbers; a message that came twice must be the same both times. */
function transcriptOf(lines: readonly ChildLine[], convoId: string): string[] {
  const bySeq = new Map<number, string>();
  for (const line of lines) {
    if (line.kind !== 'message' || line.convoId !== convoId || line.seq === undefined) continue;
    expect(bySeq.get(line.seq) ?? line.text).toBe(line.text);
    bySeq.set(line.seq, line.text ?? '');
  }
  return [...bySeq].toSorted(([a], [b]) => a - b).map(([, text]) => text);
}

/** What alice and bob do between two kills. */
async function runRound(child: Child, convoId: string, round: number): Promise<string[]> {
  const sent: string[] = [];
  for (let count = 0; count < 4; count++) {
    const text = `bob-${round}-${count}`;
    sent.push(text);
    child.process.stdin.write(`${convoId} ${text}\n`);
    if (count === 1) child.process.stdin.write(`${convoId} update\n`);
    await alice.say(convoId, `alice-${round}-${count}`);
  }
  return sent;
}

const lastWord = (text: string): string => text.slice(text.lastIndexOf(' ') + 1);

test(
  'a device that is killed at random instants loses no message, sends none twice and uses no key package twice',
  { timeout: 900_000 },
  async () => {
    const lines: ChildLine[] = [];
    const writes: JournalWrite[] = [];
    let child = startBob(lines);
    await child.opened;
    const convoId = await alice.messenger.createConversation([bob.did]);
    await eventually(() => alice.messenger.group(convoId)?.members.length).toBe(2);
    const sentByBob: string[] = [];
    const joinedMeanwhile: string[] = [];
    for (let round = 0; round < killCount; round++) {
      if (round % 2 === 0) sentByBob.push(...(await runRound(child, convoId, round)));
      // Every second kill is during the join of another conversation.
      else joinedMeanwhile.push(await alice.messenger.createConversation([bob.did]));
      await systemClock.sleep(Math.random() * (round % 2 === 0 ? 400 : 150));
      child.process.kill('SIGKILL');
      await once(child.process, 'close');
      writes.push(...(await readJournal(folder)));
      if (round % 2 === 1) await alice.say(joinedMeanwhile.at(-1) ?? '', `alice-join-${round}`);
      child = startBob(lines);
      await child.opened;
    }
    await alice.say(convoId, 'the end');
    await eventually(() => transcriptOf(lines, convoId).at(-1)).toBe('the end');
    const texts = alice.texts(convoId).map(lastWord);
    expect(new Set(texts).size, 'no message is there twice').toBe(texts.length);
    expect(transcriptOf(lines, convoId).map(lastWord)).toEqual(texts);
    expect(texts.filter((text) => text.startsWith('alice-'))).toHaveLength(4 * Math.ceil(killCount / 2));
    // A message that bob's device had not stored when it was killed was never sent; all stored ones arrive, in their order.
    const fromBob = texts.filter((text) => text.startsWith('bob-'));
    expect(fromBob).toEqual(sentByBob.filter((text) => fromBob.includes(text)));
    for (const joined of joinedMeanwhile) {
      await eventually(() => transcriptOf(lines, joined).map(lastWord)).toEqual(alice.texts(joined).map(lastWord));
    }
    expect(lines.filter(({ kind }) => kind === 'unreadable')).toEqual([]);
    child.process.kill('SIGKILL');
    await once(child.process, 'close');
    writes.push(...(await readJournal(folder)));
    const { joined, problems } = keyPackageUseIn(writes);
    expect(problems).toEqual([]);
    expect([...joined.values()].every((groups) => groups.length === 1)).toBe(true);
    expect(joined.size).toBe(1 + joinedMeanwhile.length);
    if (killCount >= 100) process.stdout.write(`${killCount} kills, ${texts.length} messages, ${joined.size} joins\n`);
  },
);
