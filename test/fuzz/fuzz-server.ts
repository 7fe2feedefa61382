import { join } from 'node:path';
import { startLoopbackPds } from '../support/network/loopback-pds.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { startTestBed } from '../support/test-server.ts';
import { projectRoot } from '../conventions/source-tree.ts';
import { responseRules, fuzzEnvironment, FuzzFixtures } from './fuzz-fixtures.ts';
import { readMethods } from './lexicon-schema.ts';
import type { FuzzMethod } from './lexicon-schema.ts';
import { watchProcess } from './process-watch.ts';
import { runCases } from './run-cases.ts';
import type { MethodReport, Violation } from './run-cases.ts';
import { createCaseSender } from './send-case.ts';

/** A server with accounts and data, for generated requests. */
export interface FuzzServer {
  readonly methods: readonly FuzzMethod[];
  /** Sends `cases` requests to one method. Problems of the process and in its log count as violations too. */
  run(method: FuzzMethod, options: { readonly cases: number; readonly seed: number }): Promise<MethodReport>;
  /** The longest delay of the event loop so far; the fuzzer shares the event loop. */
  lagMsMax(): number;
  close(): Promise<void>;
}

/** Concurrent requests. They wait for the lock of one conversation, so the last must get it before its deadline. */
const inFlight = 8;
/** Concurrent streams, below the limit of ten for one account on one server. */
const streamsInFlight = 3;
/** Far longer than any response takes on a busy machine. */
const hangMs = 10_000;

/** Starts the server on `database`; default: a database of the test run. */
export async function startFuzzServer(database?: TestDatabase): Promise<FuzzServer> {
  const pds = await startLoopbackPds();
  const bed = await startTestBed({ env: fuzzEnvironment, ...(database === undefined ? {} : { database }) });
  const sender = createCaseSender(bed.server().url, inFlight);
  const fixtures = new FuzzFixtures(bed, pds);
  const watch = watchProcess(process, bed.server().logLines);
  const target = {
    sender,
    callers: (method: FuzzMethod) => fixtures.callers(method),
    rules: (method: FuzzMethod) => responseRules(method, hangMs),
  };
  return {
    methods: readMethods(join(projectRoot, 'lexicons/blue/catbird/mls')),
    async run(method, options) {
      const isStream = method.kind === 'subscription' || method.kind === 'eventStream';
      const report = await runCases(target, method, { ...options, inFlight: isStream ? streamsInFlight : inFlight });
      const unseen = watch.newProblems().map((problem): Violation => {
        return { method: method.name, kind: 'process', about: 'meanwhile', problem, request: '', response: '' };
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
