import { join } from 'node:path';
import { startLoopbackPds } from '../support/network/loopback-pds.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { startTestBed } from '../support/test-server.ts';
import { projectRoot } from '../conventions/source-tree.ts';
import { answerRules, fuzzEnvironment, FuzzScenes } from './fuzz-scene.ts';
import { readMethods } from './lexicon-schema.ts';
import type { FuzzMethod } from './lexicon-schema.ts';
import { watchProcess } from './process-watch.ts';
import { runCases } from './run-cases.ts';
import type { MethodReport, Violation } from './run-cases.ts';
import { createCaseSender } from './send-case.ts';

/** A server with people on it, ready to be sent anything. */
export interface FuzzStage {
  readonly methods: readonly FuzzMethod[];
  /** Sends `cases` requests to one method; what the process or its log shows counts as a violation, too. */
  run(method: FuzzMethod, options: { readonly cases: number; readonly seed: number }): Promise<MethodReport>;
  /** The longest time so far that the event loop, which is also the fuzzer's, did one thing. */
  lagMsMax(): number;
  close(): Promise<void>;
}

/** All about one conversation, whose lock they wait for: the last of them must get it before the server gives up. */
const inFlight = 8;
/** Of one account and server there may be ten. */
const streamsInFlight = 3;
/** Far above what any answer takes; the machine may be busy. */
const hangMs = 10_000;

/** Without a `database` it takes the one of the test run. */
export async function startFuzzStage(database?: TestDatabase): Promise<FuzzStage> {
  const pds = await startLoopbackPds();
  const bed = await startTestBed({ env: fuzzEnvironment, ...(database === undefined ? {} : { database }) });
  const sender = createCaseSender(bed.server().url, inFlight);
  const scenes = new FuzzScenes(bed, pds);
  const watch = watchProcess(process, bed.server().logLines);
  const target = {
    sender,
    callers: (method: FuzzMethod) => scenes.callers(method),
    rules: (method: FuzzMethod) => answerRules(method, hangMs),
  };
  return {
    methods: readMethods(join(projectRoot, 'lexicons/blue/catbird/mls')),
    async run(method, options) {
      const isStream = method.kind === 'subscription' || method.kind === 'eventStream';
      const report = await runCases(target, method, { ...options, inFlight: isStream ? streamsInFlight : inFlight });
      const unseen = watch.newProblems().map((problem): Violation => {
        return { method: method.name, kind: 'process', about: 'meanwhile', problem, request: '', answer: '' };
      });
      return { ...report, violations: [...report.violations, ...unseen] };
    },
    lagMsMax: () => watch.lagMsMax(),
    async close() {
      watch.stop();
      sender.close();
      await bed.stop();
      await pds.close();
    },
  };
}
