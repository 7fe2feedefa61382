import { systemClock } from '#platform/clock.ts';
import { readConfig } from '#platform/config/config.ts';
import { createLogger } from '#platform/logging/logger.ts';
import type { StopStep } from '#platform/process/shutdown.ts';
import { startServer } from '#server/start-server.ts';
import { startLoopbackPlc } from '../../test/support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../../test/support/network/loopback-plc.ts';
import { testEnvironment } from '../../test/support/test-server.ts';
import { startFrontServer } from './front/front-server.ts';
import type { FrontServer, ServiceAddress } from './front/front-server.ts';

export interface CheckServers {
  readonly service: ServiceAddress;
  readonly front: FrontServer;
  readonly plc: LoopbackPlc;
}

/** Starts a Nightjar with its own Postgres in `folder`, a DID directory, and the server in front; adds what stops them to `steps`. */
export async function startServers(folder: string, port: number, steps: StopStep[]): Promise<CheckServers> {
  const plc = await startLoopbackPlc();
  steps.unshift({ name: 'directory', run: () => plc.close() });
  // Quotas that no client reaches, so that only planned faults limit it.
  const config = readConfig({ ...testEnvironment({ plcUrl: plc.url }), NODE_ENV: 'development', DATA_DIR: folder });
  const service = await startServer({ config, clock: systemClock, logger: createLogger('silent'), steps });
  const front = await startFrontServer(service, port);
  steps.unshift({ name: 'front', run: () => front.close() });
  return { service, front, plc };
}
