import { lexParse } from '@atproto/lex-json';
import { z } from 'zod';
import { generalErrors } from '#xrpc/general-error.ts';
import { isNeverSent } from '../contract/declared-errors.ts';
import { neverSent } from '../contract/never-sent.ts';
import type { FuzzCase } from './fuzz-case.ts';
import type { FuzzMethod, Json } from './lexicon-schema.ts';
import { canary } from './wild-values.ts';

/** The response to a case; `status` is 0 if there was none. */
export interface FuzzResponse {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly text: string;
  readonly durationMs: number;
}

export interface ResponseRules {
  /** Whether a parsed response fits the output lexicon of the method. */
  readonly outputFits: (output: unknown) => boolean;
  readonly durationMsMax: number;
}

const refusalBody = z.strictObject({
  error: z.string(),
  message: z.string().min(1),
  currentEpoch: z.int().min(0).optional(),
});
/** Matches the message of a lexicon check, which begins with the path in the input. */
const lexiconRefusal = /^(input|params)\b.* (must|is required|is not valid)/;
const echoLengthMin = 8;
const general: ReadonlySet<string> = new Set([...Object.keys(generalErrors), 'BadTicket']);
const statusOk = 200;
const statusSwitching = 101;
const statusTooMany = 429;

/** Returns every violation in a response; an empty list for a correct one. */
export function violationsOf(
  method: FuzzMethod,
  sent: FuzzCase,
  response: FuzzResponse,
  rules: ResponseRules,
): string[] {
  const slow = response.durationMs > rules.durationMsMax ? [`slow: ${Math.round(response.durationMs)} ms`] : [];
  if (response.status === 0) return [...slow, `no response: ${response.text}`];
  if (response.status >= 500) return [...slow, `status ${response.status}: ${response.text.slice(0, 200)}`];
  const isAccepted = response.status === statusOk || response.status === statusSwitching;
  const wrong = isAccepted
    ? acceptanceProblems(method, sent, response, rules)
    : refusalProblems(method, sent, response);
  return [...slow, ...wrong];
}

function acceptanceProblems(
  method: FuzzMethod,
  sent: FuzzCase,
  response: FuzzResponse,
  rules: ResponseRules,
): string[] {
  const accepted = sent.expected === 'refused' ? ['accepted what breaks the schema'] : [];
  if (method.kind === 'eventStream' || method.kind === 'subscription') return accepted;
  return [...accepted, ...(outputFits(response, rules) ? [] : ['the output does not fit its lexicon'])];
}

function outputFits(response: FuzzResponse, rules: ResponseRules): boolean {
  if (response.contentType?.startsWith('application/json') !== true) return false;
  try {
    return rules.outputFits(lexParse(response.text));
  } catch {
    return false;
  }
}

function refusalProblems(method: FuzzMethod, sent: FuzzCase, response: FuzzResponse): string[] {
  if (response.status < 400) return [`status ${response.status} is neither a success nor a refusal`];
  const parsed = refusalBody.safeParse(parseJson(response.text));
  if (!parsed.success) return [`a refusal that is not {error, message}: ${response.text.slice(0, 200)}`];
  const { error, message } = parsed.data;
  const problems: string[] = [];
  if (!general.has(error) && !method.errors.includes(error)) problems.push(`undeclared error name ${error}`);
  if (isNeverSent(`${method.name}.${error}`, neverSent)) problems.push(`${error} should never be sent`);
  if (response.contentType?.startsWith('application/json') !== true)
    problems.push('a refusal that is not sent as JSON');
  if (sent.expected === 'fits' && response.status !== statusTooMany && lexiconRefusal.test(message))
    problems.push(`refused what fits the schema: ${message}`);
  return [...problems, ...(isEchoed(sent, response.text) ? ['the refusal repeats the input'] : [])];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether the response repeats a text of the input. Short texts and plain words may be in a message for other reasons. */
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
