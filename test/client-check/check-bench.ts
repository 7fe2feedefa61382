import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startFrontServer } from '../../bin/client-check/front/front-server.ts';
import { runScenario } from '../../bin/client-check/run-scenario.ts';
import type { ScenarioResult } from '../../bin/client-check/run-scenario.ts';
import { scenarios } from '../../bin/client-check/scenarios/all-scenarios.ts';
import { Session } from '../../bin/client-check/session.ts';
import type { SessionDeps } from '../../bin/client-check/session.ts';
import { startTestBed } from '../support/test-server.ts';

/** Runs scenarios against a real server, each with a client and an account of its own. */
export interface CheckBench {
  run(name: string, startClient: SessionDeps['startClient'], options?: CheckOptions): Promise<ScenarioResult>;
  stop(): Promise<void>;
}

export interface CheckOptions {
  readonly seed?: number;
  readonly answerMs?: number;
  readonly startMs?: number;
}

export async function startCheckBench(): Promise<CheckBench> {
  const bed = await startTestBed();
  const service = bed.server();
  const front = await startFrontServer(service);
  const folder = await mkdtemp(join(tmpdir(), 'client-check-'));
  const { plc } = bed;
  return {
    async run(name, startClient, { seed = 1, answerMs = 60_000, startMs = 60_000 } = {}) {
      const scenario = scenarios.find((each) => each.name === name);
      if (scenario === undefined) throw new RangeError(`there is no scenario ${name}`);
      const session = await Session.open({ front, plc, serviceDid: service.serviceDid, folder, startClient });
      try {
        return await runScenario(scenario, session, { service, plc, seed, answerMs, startMs });
      } finally {
        await session.close();
      }
    },
    async stop() {
      await front.close();
      await bed.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
