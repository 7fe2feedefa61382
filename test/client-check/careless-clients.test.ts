import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { rules } from '../../bin/client-check/rules.ts';
import type { RuleId } from '../../bin/client-check/rules.ts';
import { startCarelessClient } from './careless-client.ts';
import type { Carelessness } from './careless-calls.ts';
import { startCheckBench } from './check-bench.ts';
import type { CheckBench } from './check-bench.ts';

/** What a client does wrong, the scenario that shows it, and the rule that is broken. */
const cases: readonly (readonly [Carelessness, scenario: string, RuleId])[] = [
  ['stays-away', 'no-faults', 'starts'],
  ['uses-a-token-twice', 'no-faults', 'token-once'],
  ['names-another-method', 'no-faults', 'token-method'],
  ['names-another-audience', 'no-faults', 'token-audience'],
  ['signs-for-an-hour', 'no-faults', 'token-lifetime'],
  ['keeps-the-old-key', 'key-change', 'token-signature'],
  ['asks-for-too-much', 'no-faults', 'valid-request'],
  ['publishes-no-last-resort-package', 'no-faults', 'last-resort'],
  ['publishes-a-package-again', 'no-faults', 'key-package-once'],
  ['runs-out-of-packages', 'low-key-packages', 'key-packages-low'],
  ['confirms-no-welcome', 'no-faults', 'welcome-confirmed'],
  ['asks-for-the-welcome-again', 'missing-welcome', 'welcome-missing'],
  ['gives-up-without-a-welcome', 'missing-welcome', 'welcome-missing'],
  ['does-not-pad', 'no-faults', 'padding'],
  ['sends-with-another-id', 'lost-responses', 'send-once'],
  ['sends-the-same-bytes-with-another-id', 'lost-responses', 'send-once'],
  ['encrypts-again', 'lost-responses', 'message-unchanged'],
  ['uses-one-idempotency-key', 'commit-race', 'idempotency-key'],
  ['sends-in-an-epoch-that-is-over', 'message-race', 'epoch-over'],
  ['commits-in-an-epoch-that-is-over', 'commit-race', 'epoch-over'],
  ['ignores-retry-after', 'rate-limits', 'retry-after'],
  ['repeats-without-a-wait', 'no-responses', 'back-off'],
  ['opens-two-streams', 'removal', 'one-stream'],
  ['uses-a-ticket-twice', 'cut-streams', 'ticket-once'],
  ['forgets-the-cursor', 'cut-streams', 'stream-cursor'],
  ['keeps-the-first-cursor', 'cut-streams', 'stream-cursor'],
  ['reconnects-without-a-wait', 'refused-streams', 'stream-back-off'],
  ['ignores-an-unknown-cursor', 'unknown-cursor', 'cursor-unknown'],
  ['reads-one-page', 'short-pages', 'all-pages'],
  ['answers-repeated-events', 'duplicate-events', 'duplicate-events'],
  ['answers-out-of-order', 'no-faults', 'in-order'],
  ['sends-after-its-removal', 'removal', 'after-removal'],
  ['stops-at-503', 'rate-limits', 'answers'],
];

vi.setConfig({ maxConcurrency: 10 });

/** Clients that give no answer, which the check waits for. */
const silent = new Set<Carelessness>([
  'stays-away',
  'keeps-the-old-key',
  'gives-up-without-a-welcome',
  'ignores-an-unknown-cursor',
  'reads-one-page',
  'stops-at-503',
]);

let bench: CheckBench;
beforeAll(async () => void (bench = await startCheckBench()));
afterAll(() => bench.stop());

test('every rule has a client that breaks it', () => {
  expect([...new Set(cases.map(([, , rule]) => rule))].toSorted()).toEqual(rules.map(({ id }) => id).toSorted());
});

describe.concurrent('a careless client breaks exactly one rule', () => {
  test.for(cases)('it %s in %s: %s', { timeout: 180_000 }, async ([carelessness, scenario, rule]) => {
    const { findings } = await bench.run(scenario, startCarelessClient(carelessness), {
      answerMs: silent.has(carelessness) ? 4_000 : 60_000,
      startMs: carelessness === 'stays-away' ? 2_000 : 60_000,
    });
    expect([...new Set(findings.map((finding) => finding.rule))], JSON.stringify(findings)).toEqual([rule]);
  });
});
