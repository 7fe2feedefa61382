import { violationsOf } from './check-answer.ts';
import type { AnswerRules, FuzzAnswer } from './check-answer.ts';
import { CaseMaker } from './fuzz-case.ts';
import type { FuzzCase, Ground } from './fuzz-case.ts';
import type { FuzzMethod } from './lexicon-schema.ts';
import type { CaseSender } from './send-case.ts';
import { shrink } from './shrink.ts';

/** Somebody who calls a method, and what they honestly would call it with. */
export interface FuzzCaller extends Ground {
  /** For one request. */
  readonly token: () => Promise<string | undefined>;
  /** What else a request needs to be let in, such as the ticket of a stream. */
  readonly ticket?: () => Promise<string>;
}

export interface FuzzTarget {
  readonly sender: CaseSender;
  /** People to call `method`, and things for them to call it about; new ones for each round. */
  readonly callers: (method: FuzzMethod) => Promise<readonly FuzzCaller[]>;
  readonly rules: (method: FuzzMethod) => AnswerRules;
}

export interface RunOptions {
  readonly cases: number;
  readonly seed: number;
  readonly inFlight: number;
}

/** One thing that is wrong, with the smallest request found that shows it. */
export interface Violation {
  readonly method: string;
  readonly kind: string;
  readonly about: string;
  readonly problem: string;
  readonly request: string;
  readonly answer: string;
}

/** What became of the cases of one method. */
export interface MethodReport {
  readonly method: string;
  readonly sent: number;
  readonly accepted: number;
  /** How often each error name came back. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly slowestMs: number;
  readonly violations: readonly Violation[];
}

/** Cases made on one ground, before calls have changed too much of it. */
const casesPerGround = 100;
const shownPerMethod = 5;
const shownLength = 2_000;

/** Sends `cases` generated requests to one method and judges every answer. */
export async function runCases(target: FuzzTarget, method: FuzzMethod, options: RunOptions): Promise<MethodReport> {
  const tally = new Tally(method.name);
  for (let from = 0, round = 0; from < options.cases; from += casesPerGround, round++) {
    const callers = await target.callers(method);
    const makers = callers.map((caller, at) => ({
      caller,
      maker: new CaseMaker(method, caller, options.seed + round * callers.length + at),
    }));
    const end = Math.min(options.cases, from + casesPerGround);
    let next = from;
    const work = async (): Promise<void> => {
      for (let index = next++; index < end; index = next++) {
        const chosen = makers[index % 5 === 4 ? index % makers.length : 0];
        if (chosen === undefined) throw new Error('nobody calls');
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
  const answer = await sendCase(run, sent);
  const problems = violationsOf(method, sent, answer, target.rules(method));
  tally.count(answer);
  const [problem] = problems;
  if (problem === undefined || !tally.hasRoom()) return tally.addViolations(problems.length);
  const kindOf = (text: string): string => text.split(':', 1)[0] ?? '';
  const input =
    sent.input === undefined
      ? undefined
      : await shrink(sent.input, async (smaller) => {
          // Smaller input may break no rule, so that only what is wrong with any answer counts for it.
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
    answer: shown(`${answer.status} ${answer.text}`),
  });
}

async function sendCase({ target, method, caller }: CaseRun, sent: FuzzCase): Promise<FuzzAnswer> {
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

  count(answer: FuzzAnswer): void {
    this.#sent++;
    this.#slowestMs = Math.max(this.#slowestMs, answer.durationMs);
    if (answer.status === 200 || answer.status === 101) this.#accepted++;
    else {
      const name = /"error":"(\w+)"/.exec(answer.text)?.[1] ?? `status ${answer.status}`;
      this.#refusals.set(name, (this.#refusals.get(name) ?? 0) + 1);
    }
  }

  /** Only the first few are shrunk and shown. */
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
        : [{ method: this.#method, kind: '', about: '', problem: `${this.#unshown} more`, request: '', answer: '' }];
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
