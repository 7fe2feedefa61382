import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { buildForeignProgram, runForeignProgram } from './foreign-program.ts';

// Clients built on OpenMLS and on mls-rs, which know of the service what docs/ says: test/foreign/src/scenario.rs has the steps.

const accountsForEachRun = 5;
const suites = [1, 2, 3];
const stepsOfEachRun = 27;

let bed: TestBed;
let missing: string | undefined;
beforeAll(async () => {
  missing = await buildForeignProgram();
  bed = await startTestBed();
}, 900_000);
afterAll(() => bed?.stop());

const engines = ['openmls', 'mls-rs', 'openmls-first', 'mls-rs-first'] as const;
const forms = ['plaintext', 'encrypted'] as const;

test.for(engines.flatMap((each) => forms.map((handshakes) => ({ engines: each, handshakes }))))(
  'a client that knows only the docs does everything with $engines and $handshakes handshakes',
  { timeout: 180_000 },
  async (pair, { skip }) => {
    skip(missing !== undefined, missing);
    const accounts = Array.from({ length: suites.length * accountsForEachRun }, () => {
      const account = bed.account();
      return { did: account.did, key: account.signingKey() };
    });
    const { url, serviceDid } = bed.server();
    const runs = suites.map((suite) => ({ ...pair, suite }));
    const { status, output } = await runForeignProgram({ url, serviceDid, accounts, runs });
    const lines = output.trim().split('\n');
    expect(lines.filter((line) => !line.startsWith('ok ')).join('\n')).toBe('');
    expect([status, lines.length]).toEqual([0, suites.length * stepsOfEachRun]);
  },
);
