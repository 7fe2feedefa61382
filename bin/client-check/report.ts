import { environmentOf } from './client-process.ts';
import { ruleOf } from './rules.ts';
import type { RuleId } from './rules.ts';
import type { ScenarioResult } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';
import type { ClientIdentity } from './session.ts';

/** Prints the progress and the result of a check. */
export interface Report {
  starts(): void;
  waitsFor(identity: ClientIdentity): void;
  list(scenarios: readonly Scenario[]): void;
  scenario(result: ScenarioResult): void;
  /** Prints each broken rule and the count of scenarios. */
  end(results: readonly ScenarioResult[]): void;
}

interface BrokenRule {
  readonly id: RuleId;
  readonly seen: readonly string[];
}

/** Examples of a broken rule that the text has; JSON has all. */
const examplesMax = 3;

function brokenRules(results: readonly ScenarioResult[]): BrokenRule[] {
  const seenByRule = new Map<RuleId, string[]>();
  for (const { name, findings } of results)
    for (const { rule, seen } of findings) {
      const before = seenByRule.get(rule) ?? [];
      seenByRule.set(rule, [...before, seen.startsWith('In ') ? seen : `In ${name}: ${seen}`]);
    }
  return [...seenByRule].map(([id, seen]) => ({ id, seen }));
}

const isPassed = ({ findings }: ScenarioResult): boolean => findings.length === 0;

/** A report of JSON lines, one for each event. */
export function createJsonReport(write: (line: string) => void): Report {
  const print = (event: string, fields: object): void => write(JSON.stringify({ event, ...fields }));
  return {
    starts: () => print('starting', {}),
    waitsFor: (identity) => print('waiting', environmentOf(identity)),
    list: (scenarios) => scenarios.forEach(({ name, summary }) => print('listed', { name, summary })),
    scenario(result) {
      const seconds = Math.round(result.seconds * 10) / 10;
      print('scenario', { ...result, seconds, passed: isPassed(result) });
    },
    end(results) {
      for (const { id, seen } of brokenRules(results)) {
        const { says, page } = ruleOf(id);
        print('rule', { id, says, page: `docs/${page}`, count: seen.length, seen });
      }
      const passed = results.filter(isPassed).length;
      print('report', { passed, failed: results.length - passed });
    },
  };
}

/** A report for people. */
export function createTextReport(write: (line: string) => void): Report {
  return {
    starts: () => write('Starting a separate Nightjar with its own Postgres in a temporary folder ...'),
    waitsFor(identity) {
      write('Start your client with these variables; the check begins when it has registered and listens.\n');
      for (const [name, value] of Object.entries(environmentOf(identity))) write(`${name}=${value}`);
      write('');
    },
    list(scenarios) {
      const width = Math.max(...scenarios.map(({ name }) => name.length));
      for (const { name, summary } of scenarios) write(`${name.padEnd(width)}  ${summary}`);
    },
    scenario(result) {
      const { name, findings, unmetFaults, seconds } = result;
      const ids = [...new Set(findings.map(({ rule }) => rule))].join(', ');
      const unmet = unmetFaults.length === 0 ? '' : `  (the client did not call ${unmetFaults.join(', ')})`;
      write(
        `${isPassed(result) ? '✓' : '✗'} ${name.padEnd(18)} ${seconds.toFixed(1).padStart(5)} s  ${ids}${unmet}`.trimEnd(),
      );
    },
    end(results) {
      for (const { id, seen } of brokenRules(results)) {
        const { says, page } = ruleOf(id);
        write(`\n${id} (${seen.length} times)\n  ${says}\n  docs/${page}`);
        for (const example of seen.slice(0, examplesMax)) write(`  - ${example}`);
        if (seen.length > examplesMax) write(`  - and ${seen.length - examplesMax} more`);
      }
      const failed = results.filter((result) => !isPassed(result)).length;
      write(
        failed === 0
          ? `\nThe client passed all ${results.length} scenarios.`
          : `\nThe client failed ${failed} of ${results.length} scenarios.`,
      );
    },
  };
}
