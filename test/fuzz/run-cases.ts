import { violationsOf } from './check-response.ts';
import type { ResponseRules, FuzzResponse } from './check-response.ts';
import { CaseMaker } from './fuzz-case.ts';
import type { FuzzCase, CaseBasis } from './fuzz-case.ts';
import type { FuzzMethod } from './lexicon-schema.ts';
import type { CaseSender } from './send-case.ts';
import { shrink } from './shrink.ts';

/** A caller of a method, with a valid input to vary. */
export interface FuzzCaller extends CaseBasis {
  /** Returns the token for one request. */
  readonly token: () => Promise<string | undefined>;
  /** Returns the ticket for one stream, where the method needs one. */
  readonly ticket?: () => Promise<string>;
}

export interface FuzzTarget {
  readonly sender: CaseSender;
  /** Returns callers of `method` with existing data; called again for each basis. */
  readonly callers: (method: FuzzMethod) => Promise<readonly FuzzCaller[]>;
  readonly rules: (method: FuzzMethod) => ResponseRules;
}

export interface RunOptions {
  readonly cases: number;
  readonly seed: number;
  readonly inFlight: number;
}

/** A violation of the contract, with the smallest request found that causes it. */
export interface Violation {
  readonly method: string;
  readonly kind: string;
  readonly about: string;
  readonly problem: string;
  readonly request: string;
  readonly response: string;
}

/** The results of the cases of one method. */
export interface MethodReport {
  readonly method: string;
  readonly sent: number;
  readonly accepted: number;
  /** Number of responses with each error name. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly slowestMs: number;
  readonly violations: readonly Violation[];
}

/** Number of cases on one basis; a new basis follows because the calls change the data. */
const casesPerBasis = 100;
const shownPerMethod = 5;
const shownLength = 2_000;

/** Sends `cases` generated requests to one method and checks every response. */
export async function runCases(target: FuzzTarget, method: FuzzMethod, options: RunOptions): Promise<MethodReport> {
  const tally = new Tally(method.name);
  for (let from = 0, round = 0; from < options.cases; from += casesPerBasis, round++) {
    const callers = await target.callers(method);
    const makers = callers.map((caller, at) => ({
      caller,
      maker: new CaseMaker(method, caller, options.seed + round * callers.length + at),
    }));
    const end = Math.min(options.cases, from + casesPerBasis);
    let next = from;
    const work = async (): Promise<void> => {
      for (let index = next++; index < end; index = next++) {
        const chosen = makers[index % 5 === 4 ? index % makers.length : 0];
        if (chosen === undefined) throw new Error('there is no caller');
        await runCase({ target, method, tally, ...chosen }, chosen.maker.make(index));
      }
    };
    await Promise.all(Array.from({ length: options.inFlight }, work));
  }
  return tally.report();
}

interface CaseRun {
  readonly target: FuzzTarget;
  readonly method: FuzzMethod;
  readonly tally: Tally;
  readonly caller: FuzzCaller;
  readonly maker: CaseMaker;
}

async function runCase(run: CaseRun, sent: FuzzCase): Promise<void> {
  const { target, method, tally, maker } = run;
  const response = await sendCase(run, sent);
  const problems = violationsOf(method, sent, response, target.rules(method));
  tally.count(response);
  const [problem] = problems;
  if (problem === undefined || !tally.hasRoom()) return tally.addViolations(problems.length);
  const kindOf = (text: string): string => text.split(':', 1)[0] ?? '';
  const input =
    sent.input === undefined
      ? undefined
      : await shrink(sent.input, async (smaller) => {
          // A smaller input may break no rule, so only the checks that apply to every response are used for it.
          const expected = sent.expected === 'refused' && smaller === sent.input ? 'refused' : 'anything';
          const shrunk: FuzzCase = { ...sent, expected, input: smaller, request: maker.requestOf(smaller) };
          const found = violationsOf(method, shrunk, await sendCase(run, shrunk), target.rules(method));
          return found.some((each) => kindOf(each) === kindOf(problem));
        });
  tally.add({
    method: method.name,
    kind: sent.kind,
    about: sent.about,
    problem: problems.join('; '),
    request: shown(
      input === undefined ? `${sent.request.search}${String(sent.request.body ?? '')}` : JSON.stringify(input),
    ),
    response: shown(`${response.status} ${response.text}`),
  });
}

async function sendCase({ target, method, caller }: CaseRun, sent: FuzzCase): Promise<FuzzResponse> {
  const hasTicket = sent.request.search.includes('ticket=');
  const ticket = caller.ticket === undefined || hasTicket ? undefined : await caller.ticket();
  const joint = sent.request.search === '' ? '?' : '&';
  const search = ticket === undefined ? sent.request.search : `${sent.request.search}${joint}ticket=${ticket}`;
  return target.sender.send(method, { ...sent.request, search }, await caller.token());
}

function shown(text: string): string {
  return text.length > shownLength ? `${text.slice(0, shownLength)} … (${text.length} characters)` : text;
}

class Tally {
  readonly #method: string;
  #sent = 0;
  #accepted = 0;
  #slowestMs = 0;
  #unshown = 0;
  readonly #refusals = new Map<string, number>();
  readonly #violations: Violation[] = [];
  #reserved = 0;

  constructor(method: string) {
    this.#method = method;
  }

  count(response: FuzzResponse): void {
    this.#sent++;
    this.#slowestMs = Math.max(this.#slowestMs, response.durationMs);
    if (response.status === 200 || response.status === 101) this.#accepted++;
    else {
      const name = /"error":"(\w+)"/.exec(response.text)?.[1] ?? `status ${response.status}`;
      this.#refusals.set(name, (this.#refusals.get(name) ?? 0) + 1);
    }
  }

  /** Whether the next violation is shrunk and reported; only the first few are. */
  hasRoom(): boolean {
    return this.#reserved < shownPerMethod && this.#reserved++ < shownPerMethod;
  }

  add(violation: Violation): void {
    this.#violations.push(violation);
  }

  addViolations(count: number): void {
    this.#unshown += count;
  }

  report(): MethodReport {
    const more: Violation[] =
      this.#unshown === 0
        ? []
        : [{ method: this.#method, kind: '', about: '', problem: `${this.#unshown} more`, request: '', response: '' }];
    return {
      method: this.#method,
      sent: this.#sent,
      accepted: this.#accepted,
      refusals: Object.fromEntries(this.#refusals),
      slowestMs: Math.round(this.#slowestMs),
      violations: [...this.#violations, ...more],
    };
  }
}
