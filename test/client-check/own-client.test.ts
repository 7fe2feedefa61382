import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scenarios } from '../../bin/client-check/scenarios/all-scenarios.ts';
import { startCheckBench } from './check-bench.ts';
import type { CheckBench } from './check-bench.ts';
import { startEchoClient } from './echo-client.ts';

let bench: CheckBench;
beforeAll(async () => void (bench = await startCheckBench()));
afterAll(() => bench.stop());

describe.concurrent('the client of this project breaks no rule', () => {
  test.for(scenarios.map(({ name }) => name))('in %s', { timeout: 120_000 }, async (name) => {
    const { findings, unmetFaults } = await bench.run(name, startEchoClient);
    expect({ findings, unmetFaults }).toEqual({ findings: [], unmetFaults: [] });
  });
});
