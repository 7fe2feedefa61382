import { expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { stopInOrder } from '#platform/process/shutdown.ts';
import type { StopStep } from '#platform/process/shutdown.ts';

async function stop(
  steps: StopStep[],
  timeoutMs: number,
): Promise<{ result: string; failures: string[]; tookMs: number }> {
  const failures: string[] = [];
  const startedMs = performance.now();
  const result = await stopInOrder(steps, {
    clock: systemClock,
    timeoutMs,
    onFailure: (step, error) => failures.push(`${step}: ${error instanceof Error ? error.name : 'other'}`),
  });
  return { result, failures, tookMs: performance.now() - startedMs };
}

test('each step starts after the previous one has ended', async () => {
  const seen: string[] = [];
  const step = (name: string, delayMs: number): StopStep => ({
    name,
    run: async () => {
      seen.push(`${name} begins`);
      await systemClock.sleep(delayMs);
      seen.push(`${name} ends`);
    },
  });
  const { result, failures, tookMs } = await stop([step('http', 60), step('database', 1)], 5_000);
  expect({ result, failures }).toEqual({ result: 'clean', failures: [] });
  expect(seen).toEqual(['http begins', 'http ends', 'database begins', 'database ends']);
  expect(tookMs).toBeLessThan(1_000);
});

test('a step that fails or throws does not prevent the later steps', async () => {
  let closed = false;
  const { result, failures } = await stop(
    [
      { name: 'rejects', run: () => Promise.reject(new TypeError('x')) },
      {
        name: 'throws',
        run: () => {
          throw new RangeError('x');
        },
      },
      { name: 'database', run: async () => void (closed = true) },
    ],
    1_000,
  );
  expect({ result, failures, closed }).toEqual({
    result: 'unclean',
    failures: ['rejects: TypeError', 'throws: RangeError'],
    closed: true,
  });
});

test('a step that hangs is aborted and abandoned, and the later steps still run', async () => {
  let wasAborted = false;
  let closed = false;
  const { result, failures, tookMs } = await stop(
    [
      {
        name: 'http',
        run: (signal) =>
          new Promise(() => {
            signal.addEventListener('abort', () => (wasAborted = true));
          }),
      },
      {
        name: 'database',
        run: async () => {
          await systemClock.sleep(100);
          closed = true;
        },
      },
    ],
    600,
  );
  expect({ result, failures, wasAborted, closed }).toEqual({
    result: 'unclean',
    failures: ['http: StopTimeoutError'],
    wasAborted: true,
    closed: true,
  });
  expect(tookMs).toBeLessThan(2_000);
});
