import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startLoopbackPds } from '../support/loopback-pds.ts';
import type { LoopbackPds } from '../support/loopback-pds.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { methodNames } from '#xrpc/mls/endpoints.ts';
import { projectRoot } from '../tidy/source-tree.ts';
import { answerRules, fuzzEnvironment, FuzzScenes } from './fuzz-scene.ts';
import { readMethods } from './lexicon-schema.ts';
import { watchProcess } from './process-watch.ts';
import type { ProcessWatch } from './process-watch.ts';
import { runCases } from './run-cases.ts';
import { createCaseSender } from './send-case.ts';
import type { CaseSender } from './send-case.ts';

/** Another set of cases every day, the same all day long. */
const seed = Number(process.env['FUZZ_SEED'] ?? new Date().toISOString().slice(0, 10).replaceAll('-', ''));
const cases = 200;
const inFlight = 16;
/** Far above what any answer takes; the machine may be busy. */
const hangMs = 10_000;
const lagMsMax = 3_000;

const methods = readMethods(join(projectRoot, 'lexicons/blue/catbird/mls'));

let bed: TestBed;
let pds: LoopbackPds;
let sender: CaseSender;
let scenes: FuzzScenes;
let watch: ProcessWatch;

beforeAll(async () => {
  pds = await startLoopbackPds();
  bed = await startTestBed({ env: fuzzEnvironment });
  sender = createCaseSender(bed.server().url, inFlight);
  scenes = new FuzzScenes(bed, pds);
  watch = watchProcess(process, bed.server().logLines);
});
afterAll(async () => {
  watch.stop();
  sender.close();
  await bed.stop();
  await pds.close();
});

describe(`whatever is sent, nothing breaks and no rule of a lexicon is passed by (FUZZ_SEED=${seed})`, () => {
  test.for(methods)('$name', { timeout: 120_000 }, async (method) => {
    const target = {
      sender,
      callers: (of: typeof method) => scenes.callers(of),
      rules: (of: typeof method) => answerRules(of, hangMs),
    };
    const report = await runCases(target, method, { cases, seed, inFlight });

    expect(report.violations, `FUZZ_SEED=${seed}`).toEqual([]);
    expect(watch.problems()).toEqual([]);
    expect(report.sent).toBe(cases);
    expect(report.accepted, 'calls that reached the end').toBeGreaterThan(0);
    expect(watch.lagMsMax()).toBeLessThan(lagMsMax);
  });

  test('every method of the service was among them', () => {
    expect(methods.map(({ name }) => name).toSorted()).toEqual([...methodNames].toSorted());
  });
});
