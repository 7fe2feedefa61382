import type { Clock } from '#platform/clock.ts';
import { spoofedAddress, spoofedForms } from './spoofed-forms.ts';

/** What one check found; `remedy` says what to do where it failed. */
export interface Finding {
  readonly check: 'answers' | 'headers' | 'burst' | 'refusal' | 'retry-after' | 'client-address';
  readonly ok: boolean;
  readonly found: string;
  readonly remedy?: string;
}

/** One answer of the server, in the terms of its limit; fields that it lacks are NaN. */
interface Answer {
  readonly status: number;
  readonly limit: number;
  readonly remaining: number;
  /** Until the whole limit is free again, by the server's own clock. */
  readonly restoredInSeconds: number;
  readonly policy: string;
  readonly retryAfterSeconds: number;
  readonly body: { readonly error?: unknown; readonly message?: unknown };
}

interface Probe {
  readonly url: string;
  readonly clock: Clock;
}

/** Of a method that does not exist, so that no token is missed and nothing but the address is charged. */
const path = '/xrpc/blue.catbird.mls.quotaSelftest';
const timeoutMs = 10_000;
/** Few enough for every connection limit, enough to outrun a refill across a slow network. */
const lanes = 4;
const burstMax = 5_000;
const waitSecondsMax = 120;
const triesToEmpty = 20;

/**
 * Tests from outside, without credentials, that the server at `url` limits requests by their address. The checks that need
 * an earlier one to have passed are left out when it has not.
 * @throws TypeError when the server cannot be reached.
 */
export async function* selftest(url: string, clock: Clock): AsyncGenerator<Finding> {
  const probe: Probe = { url: new URL(path, url).href, clock };
  const first = await ask(probe);
  const answers = judgeAnswer(first);
  yield answers;
  if (first.status === 400) yield* judgeTrust(probe);
  if (!answers.ok) return;
  yield judgeHeaders(first);
  const spent = await spend(probe, first);
  yield judgeBurst(first, spent);
  if (spent.refusal === undefined) return;
  yield judgeRefusal(spent.refusal, first);
  yield await judgeRetryAfter(probe);
  yield await judgeClientAddress(probe, first);
}

async function ask({ url, clock }: Probe, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const response = await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) });
  const text = await response.text();
  const number = (name: string): number => Number(response.headers.get(name) ?? 'absent');
  const sentAtMs = Date.parse(response.headers.get('date') ?? '') || clock.nowMs();
  return {
    status: response.status,
    limit: number('ratelimit-limit'),
    remaining: number('ratelimit-remaining'),
    restoredInSeconds: number('ratelimit-reset') - sentAtMs / 1000,
    policy: response.headers.get('ratelimit-policy') ?? '',
    retryAfterSeconds: number('retry-after'),
    body: bodyOf(text),
  };
}

function bodyOf(text: string): Answer['body'] {
  try {
    return Object(JSON.parse(text)) as Answer['body'];
  } catch {
    return {};
  }
}

function judgeAnswer({ status, body }: Answer): Finding {
  const check = 'answers';
  if (status === 501 && body.error === 'MethodNotImplemented') {
    return { check, ok: true, found: 'a Nightjar answers at this address' };
  }
  const found = `status ${status}`;
  if (status === 429) {
    const remedy = 'The limit of your address is used up already. Wait two minutes, then run this again.';
    return { check, ok: false, found, remedy };
  }
  const remedy =
    status === 400
      ? 'The server takes you for a proxy. Ask it through its proxy, or from a machine outside TRUSTED_PROXY_CIDRS.'
      : 'Give the address where clients reach the service, without a path; its proxy must pass /xrpc/ on.';
  return { check, ok: false, found, remedy };
}

/** A server that asks everybody for X-Forwarded-For is not always a server that was asked by its proxy. */
async function* judgeTrust(probe: Probe): AsyncGenerator<Finding> {
  const { status } = await ask(probe, { 'X-Forwarded-For': spoofedAddress(0) });
  if (status === 501) yield believes(['X-Forwarded-For']);
}

function judgeHeaders(first: Answer): Finding {
  const { limit, remaining, restoredInSeconds, policy } = first;
  const window = windowSecondsOf(first);
  const problems = [
    ...(Number.isInteger(limit) && limit > 0 ? [] : ['RateLimit-Limit is no number']),
    ...(remaining >= 0 && remaining < limit ? [] : ['RateLimit-Remaining is not below the limit']),
    // A whole second of rounding on both clocks.
    ...(restoredInSeconds >= -2 && restoredInSeconds <= window * 2 + 2 ? [] : ['RateLimit-Reset is not near']),
    ...(policy === `${limit};w=${window}` ? [] : ['RateLimit-Policy is not <limit>;w=<seconds>']),
  ];
  if (problems.length === 0) return { check: 'headers', ok: true, found: `RateLimit-Policy ${policy}` };
  const remedy =
    'A proxy in front removes or rewrites RateLimit-* headers: let it pass them on. Or your address is one of ' +
    'CLIENT_ALLOW_CIDRS, which are not limited: run this from another one.';
  return { check: 'headers', ok: false, found: problems.join('; '), remedy };
}

function windowSecondsOf({ policy }: Answer): number {
  return Number(/;w=(\d+)$/.exec(policy)?.[1] ?? 'absent');
}

/** How many requests came through at once before the first refusal, with the one that told the limit. */
interface Spent {
  readonly admitted: number;
  readonly refusal: Answer | undefined;
  readonly tookMs: number;
}

/** Sends requests until one is refused, or far more than announced have come through. */
async function spend(probe: Probe, first: Answer): Promise<Spent> {
  const startedMs = probe.clock.monotonicMs();
  const enough = Math.min(burstMax, 2 * first.remaining + 100);
  let admitted = 0;
  let refusal: Answer | undefined;
  const lane = async (): Promise<void> => {
    while (refusal === undefined && admitted < enough) {
      const answer = await ask(probe);
      if (answer.status === 429) refusal ??= answer;
      else admitted++;
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return { admitted, refusal, tookMs: probe.clock.monotonicMs() - startedMs };
}

function judgeBurst(first: Answer, { admitted, refusal, tookMs }: Spent): Finding {
  const check = 'burst';
  const announced = first.remaining;
  const refilled = Math.ceil((tookMs / 1000) * rateOf(first)) + 1;
  const found = `${announced} announced, ${admitted} admitted in ${Math.round(tookMs)} ms`;
  if (refusal === undefined) {
    const remedy =
      'Nothing was refused. Lower RATE_LIMIT_IP_BURST, or end a proxy that spreads you over many addresses.';
    return { check, ok: false, found, remedy };
  }
  if (admitted > announced + refilled) {
    const remedy =
      'More came through than announced. Servers that count apart need a shared store: see docs/quotas.md.';
    return { check, ok: false, found, remedy };
  }
  if (admitted < announced) {
    const remedy = 'Somebody else uses this address, or a proxy limits too. Run this again from an idle address.';
    return { check, ok: false, found, remedy };
  }
  return { check, ok: true, found };
}

function rateOf(answer: Answer): number {
  return answer.limit / windowSecondsOf(answer);
}

function judgeRefusal(refusal: Answer, first: Answer): Finding {
  const { body, retryAfterSeconds, limit, remaining } = refusal;
  const named = /^The limit (\w+) allows/.exec(String(body.message))?.[1];
  const problems = [
    ...(body.error === 'RateLimitExceeded' ? [] : ['the error is not RateLimitExceeded']),
    ...(named === 'address' || named === 'network' ? [] : ['the limit is not named']),
    ...(Number.isInteger(retryAfterSeconds) && retryAfterSeconds >= 1 ? [] : ['Retry-After is absent']),
    ...(limit === first.limit && remaining === 0 ? [] : ['RateLimit-* headers are absent or contradict themselves']),
  ];
  if (problems.length === 0) {
    return { check: 'refusal', ok: true, found: `429 names the limit and says Retry-After: ${retryAfterSeconds}` };
  }
  const remedy = 'The refusal is not ours: a proxy in front limits by itself, or replaces error answers.';
  return { check: 'refusal', ok: false, found: problems.join('; '), remedy };
}

async function judgeRetryAfter(probe: Probe): Promise<Finding> {
  const check = 'retry-after';
  const refusal = await empty(probe);
  if (refusal === undefined) return { check, ok: false, found: 'refusals ended by themselves', remedy: ofRefill };
  const { retryAfterSeconds } = refusal;
  if (!(retryAfterSeconds <= waitSecondsMax)) {
    const remedy = `Retry-After is no number or above ${waitSecondsMax} seconds: the limit is lower than any client can live with.`;
    return { check, ok: false, found: 'not waited for', remedy };
  }
  await probe.clock.sleep(retryAfterSeconds * 1000);
  const { status } = await ask(probe);
  if (status !== 429) return { check, ok: true, found: `after ${retryAfterSeconds} s the next request passed` };
  const remedy = 'Somebody else uses this address, or a proxy limits too. Run this again from an idle address.';
  return { check, ok: false, found: `after ${retryAfterSeconds} s the next request was refused`, remedy };
}

const ofRefill =
  'The limit refills faster than you can ask. Lower RATE_LIMIT_IP_PER_MINUTE, or run this from nearer by.';

/** The first refusal, or undefined where requests keep passing. */
async function empty(probe: Probe): Promise<Answer | undefined> {
  for (let tries = 0; tries < triesToEmpty; tries++) {
    const answer = await ask(probe);
    if (answer.status === 429) return answer;
  }
  return undefined;
}

/**
 * With the limit used up, asks under made-up addresses. A request that gets a bucket of its own has as much left as the
 * very first had; one that passes because time went by has next to nothing left.
 */
async function judgeClientAddress(probe: Probe, first: Answer): Promise<Finding> {
  const check = 'client-address';
  if (first.remaining < 2) {
    const remedy = 'Raise RATE_LIMIT_IP_BURST to 3 or more, or run this again from an idle address.';
    return { check, ok: false, found: 'the burst is too small to tell', remedy };
  }
  const believed: string[] = [];
  for (const [index, form] of spoofedForms.entries()) {
    if ((await empty(probe)) === undefined) return { check, ok: false, found: 'not tested', remedy: ofRefill };
    const { status, remaining } = await ask(probe, form(spoofedAddress(index)));
    if (status !== 429 && !(remaining < first.remaining)) believed.push(Object.keys(form('')).join(' and '));
  }
  if (believed.length > 0) return believes(believed);
  return { check, ok: true, found: `${spoofedForms.length} forms of made-up addresses gave no fresh limit` };
}

function believes(headers: readonly string[]): Finding {
  const remedy =
    'Anybody can choose the address that is counted. TRUSTED_PROXY_CIDRS must list your own proxies only, and they must ' +
    'append to X-Forwarded-For or replace it. (From a trusted machine this is expected: run it from outside.)';
  return { check: 'client-address', ok: false, found: `believed: ${[...new Set(headers)].join(', ')}`, remedy };
}
