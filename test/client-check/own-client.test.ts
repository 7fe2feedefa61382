import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { scenarios } from '../../bin/client-check/scenarios/all-scenarios.ts';
import { streamScenarios } from '../../bin/client-check/scenarios/streams.ts';
import { startCarelessClient } from './careless-client.ts';
import { startCheckBench } from './check-bench.ts';
import type { CheckBench } from './check-bench.ts';
import { startEchoClient } from './echo-client.ts';

vi.setConfig({ maxConcurrency: 8 });

let bench: CheckBench;
beforeAll(async () => void (bench = await startCheckBench()));
afterAll(() => bench.stop());

const names = scenarios.map(({ name }) => name);

describe.concurrent('the client of this project breaks no rule', () => {
  test.for(names)('in %s', { timeout: 180_000 }, async (name) => {
    const { findings, unmetFaults } = await bench.run(name, startEchoClient);
    expect({ findings, unmetFaults }).toEqual({ findings: [], unmetFaults: [] });
  });

  test.for(streamScenarios.map(({ name }) => name))(
    'in %s with server-sent events',
    { timeout: 180_000 },
    async (name) => {
      const { findings } = await bench.run(name, (identity) =>
        startEchoClient(identity, { transport: 'server-sent-events' }),
      );
      expect(findings).toEqual([]);
    },
  );
});

describe.concurrent('the client of plain calls breaks no rule when it is careless in nothing', () => {
  test.for(names)('in %s', { timeout: 180_000 }, async (name) => {
    const { findings, unmetFaults } = await bench.run(name, startCarelessClient('nothing'), { seed: 2 });
    expect({ findings, unmetFaults }).toEqual({ findings: [], unmetFaults: [] });
  });
});
