import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { buildForeignProgram, runForeignProgram } from './foreign-program.ts';
import type { ForeignRun } from './foreign-program.ts';

// Runs clients built on OpenMLS and on mls-rs that follow only docs/; test/foreign/src/steps.rs has the steps.

const accountsForEachRun = 5;
const suites = [1, 2, 3];
const stepsOfEachRun = 27;
/** Before those at random. */
const stepsOfBeginning = 5;
const stepsAtRandom = Number(process.env['CHURN'] ?? 20);
const seed = Number(process.env['SEED'] ?? 1);

let bed: TestBed;
let missing: string | undefined;
beforeAll(async () => {
  missing = await buildForeignProgram();
  bed = await startTestBed();
}, 900_000);
afterAll(() => bed?.stop());

const forms = ['plaintext', 'encrypted'] as const;
const withEachForm = <const Engines extends string>(engines: readonly Engines[]) =>
  engines.flatMap((each) => forms.map((handshakes) => ({ engines: each, handshakes })));

async function expectSteps(runs: readonly ForeignRun[], count: number): Promise<void> {
  const accounts = Array.from({ length: runs.length * accountsForEachRun }, () => {
    const account = bed.account();
    return { did: account.did, key: account.signingKey() };
  });
  const { url, serviceDid } = bed.server();
  const { status, output } = await runForeignProgram({ url, serviceDid, accounts, runs });
  const lines = output.trim().split('\n');
  // Shows the whole output if a step failed.
  expect(lines.every((line) => line.startsWith('ok ')) ? '' : output).toBe('');
  expect([status, lines.length]).toEqual([0, count]);
}

test.for(withEachForm(['openmls', 'mls-rs', 'openmls-first', 'mls-rs-first']))(
  'a client built from the docs completes every step with $engines and $handshakes handshakes',
  { timeout: 180_000 },
  async (pair, { skip }) => {
    skip(missing !== undefined, missing);
    const runs = suites.map((suite) => ({ ...pair, suite }));
    await expectSteps(runs, runs.length * stepsOfEachRun);
  },
);

test.for(withEachForm(['openmls-first', 'mls-rs-first']))(
  'while people and devices join and leave at random, the others keep one group state with $engines and $handshakes handshakes',
  { timeout: 60_000 + stepsAtRandom * 6_000 },
  async (pair, { skip }) => {
    skip(missing !== undefined, missing);
    await expectSteps([{ ...pair, suite: 1, churn: stepsAtRandom, seed }], stepsOfBeginning + stepsAtRandom);
  },
);
