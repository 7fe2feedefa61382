import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import type { Account } from '../support/clients/account.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
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

test(
  'a device that is killed at random instants loses no message and sends none twice',
  { timeout: 600_000 },
  async () => {
    const lines: ChildLine[] = [];
    let child = startBob(lines);
    await child.opened;
    const convoId = await alice.messenger.createConversation([bob.did]);
    await eventually(() => alice.messenger.group(convoId)?.members.length).toBe(2);
    const sentByBob: string[] = [];
    for (let round = 0; round < killCount; round++) {
      for (let count = 0; count < 4; count++) {
        const text = `bob-${round}-${count}`;
        sentByBob.push(text);
        child.process.stdin.write(`${convoId} ${text}\n`);
        if (count === 1) child.process.stdin.write(`${convoId} update\n`);
        await alice.say(convoId, `alice-${round}-${count}`);
      }
      await systemClock.sleep(Math.random() * 400);
      child.process.kill('SIGKILL');
      await once(child.process, 'close');
      child = startBob(lines);
      await child.opened;
    }
    const last = await alice.say(convoId, 'the end');
    expect(last).toBeDefined();
    await eventually(() => transcriptOf(lines, convoId).at(-1)).toBe('the end');
    const texts = alice.texts(convoId).map((text) => text.slice(text.lastIndexOf(' ') + 1));
    expect(new Set(texts).size, 'no message is there twice').toBe(texts.length);
    expect(transcriptOf(lines, convoId).map((text) => text.slice(text.lastIndexOf(' ') + 1))).toEqual(texts);
    expect(texts.filter((text) => text.startsWith('alice-'))).toHaveLength(4 * killCount);
    // A message that bob's device had not stored when it was killed was never sent; all stored ones arrive, in their order.
    const fromBob = texts.filter((text) => text.startsWith('bob-'));
    expect(fromBob).toEqual(sentByBob.filter((text) => fromBob.includes(text)));
    expect(lines.filter(({ kind }) => kind === 'unreadable')).toEqual([]);
    child.process.kill('SIGKILL');
    const journal = await readFile(join(folder, 'journal.jsonl'), 'utf8');
    expect(journal).toContain('group/');
  },
);
