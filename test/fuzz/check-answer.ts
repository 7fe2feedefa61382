import { lexParse } from '@atproto/lex-json';
import { z } from 'zod';
import { generalErrors } from '#xrpc/response/general-error.ts';
import { isNeverSent } from '../contract/declared-errors.ts';
import { neverSent } from '../contract/never-sent.ts';
import type { FuzzCase } from './fuzz-case.ts';
import type { FuzzMethod, Json } from './lexicon-schema.ts';
import { canary } from './wild-values.ts';

/** What came back; `status` 0 when nothing did. */
export interface FuzzAnswer {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly text: string;
  readonly durationMs: number;
}

export interface AnswerRules {
  /** Whether a parsed answer fits the output lexicon of the method. */
  readonly outputFits: (output: unknown) => boolean;
  readonly durationMsMax: number;
}

const refusalBody = z.strictObject({
  error: z.string(),
  message: z.string().min(1),
  currentEpoch: z.int().min(0).optional(),
});
/** The lexicon check's own words: it names where in the input. */
const lexiconRefusal = /^(input|params)\b.* (must|is required|is not valid)/;
const echoLengthMin = 8;
const general: ReadonlySet<string> = new Set([...Object.keys(generalErrors), 'BadTicket']);
const statusOk = 200;
const statusSwitching = 101;
const statusTooMany = 429;

/** Everything that is wrong with an answer; empty for a good one. */
export function violationsOf(method: FuzzMethod, sent: FuzzCase, answer: FuzzAnswer, rules: AnswerRules): string[] {
  const slow = answer.durationMs > rules.durationMsMax ? [`slow: ${Math.round(answer.durationMs)} ms`] : [];
  if (answer.status === 0) return [...slow, `no answer: ${answer.text}`];
  if (answer.status >= 500) return [...slow, `status ${answer.status}: ${answer.text.slice(0, 200)}`];
  const isAccepted = answer.status === statusOk || answer.status === statusSwitching;
  const wrong = isAccepted ? acceptanceProblems(method, sent, answer, rules) : refusalProblems(method, sent, answer);
  return [...slow, ...wrong];
}

function acceptanceProblems(method: FuzzMethod, sent: FuzzCase, answer: FuzzAnswer, rules: AnswerRules): string[] {
  const accepted = sent.expected === 'refused' ? ['accepted what breaks the schema'] : [];
  if (method.kind === 'eventStream' || method.kind === 'subscription') return accepted;
  return [...accepted, ...(outputFits(answer, rules) ? [] : ['the output does not fit its lexicon'])];
}

function outputFits(answer: FuzzAnswer, rules: AnswerRules): boolean {
  if (answer.contentType?.startsWith('application/json') !== true) return false;
  try {
    return rules.outputFits(lexParse(answer.text));
  } catch {
    return false;
  }
}

function refusalProblems(method: FuzzMethod, sent: FuzzCase, answer: FuzzAnswer): string[] {
  if (answer.status < 400) return [`status ${answer.status} is neither an answer nor a refusal`];
  const parsed = refusalBody.safeParse(parseJson(answer.text));
  if (!parsed.success) return [`a refusal that is not {error, message}: ${answer.text.slice(0, 200)}`];
  const { error, message } = parsed.data;
  const problems: string[] = [];
  if (!general.has(error) && !method.errors.includes(error)) problems.push(`undeclared error name ${error}`);
  if (isNeverSent(`${method.name}.${error}`, neverSent)) problems.push(`${error} should never be sent`);
  if (answer.contentType?.startsWith('application/json') !== true) problems.push('a refusal that is not sent as JSON');
  if (sent.expected === 'fits' && answer.status !== statusTooMany && lexiconRefusal.test(message))
    problems.push(`refused what fits the schema: ${message}`);
  return [...problems, ...(isEchoed(sent, answer.text) ? ['the refusal repeats the input'] : [])];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Short texts and the schema's own words may stand in a message for other reasons. */
function isEchoed({ input, request }: FuzzCase, text: string): boolean {
  if (text.includes(canary)) return true;
  const sent = input === undefined ? [...new URLSearchParams(request.search).values()] : textsIn(input);
  return sent.some((value) => value.length >= echoLengthMin && !/^[a-zA-Z]+$/.test(value) && text.includes(value));
}

function textsIn(value: Json): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((item) => textsIn(item as Json));
}
