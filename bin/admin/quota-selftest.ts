import type { Clock } from '#platform/clock.ts';
import { spoofedAddress, spoofedForms } from './spoofed-forms.ts';

/** The result of one check; `remedy` says what to do after a failed check. */
export interface Finding {
  readonly check: 'answers' | 'headers' | 'burst' | 'refusal' | 'retry-after' | 'client-address';
  readonly ok: boolean;
  readonly found: string;
  readonly remedy?: string;
}

/** The fields of one response that describe the limit; a missing number is NaN. */
interface ProbeResponse {
  readonly status: number;
  readonly limit: number;
  readonly remaining: number;
  /** Seconds until the whole limit is available again, by the server's clock. */
  readonly restoredInSeconds: number;
  readonly policy: string;
  readonly retryAfterSeconds: number;
  readonly body: { readonly error?: unknown; readonly message?: unknown };
}

interface Probe {
  readonly url: string;
  readonly clock: Clock;
}

/** The path of a method that does not exist, so that a request needs no token and charges only the address quota. */
const path = '/xrpc/blue.catbird.mls.quotaSelftest';
const timeoutMs = 10_000;
/**
 * Fewer than every connection limit allows, but enough to send requests faster than the limit refills on a slow
 * network.
 */
const connections = 4;
const burstMax = 5_000;
const waitSecondsMax = 120;
const triesToExhaust = 20;

/**
 * Tests from outside, without credentials, that the server at `url` limits requests by client address. Checks that
 * depend on a failed check are skipped.
 * @throws TypeError when the server cannot be reached.
 */
export async function* selftest(url: string, clock: Clock): AsyncGenerator<Finding> {
  const probe: Probe = { url: new URL(path, url).href, clock };
  const first = await sendRequest(probe);
  const finding = checkFirstResponse(first);
  yield finding;
  if (first.status === 400) yield* checkTrust(probe);
  if (!finding.ok) return;
  yield checkHeaders(first);
  const burst = await runBurst(probe, first);
  yield checkBurst(first, burst);
  if (burst.refusal === undefined) return;
  yield checkRefusal(burst.refusal, first);
  yield await checkRetryAfter(probe);
  yield await checkClientAddress(probe, first);
}

async function sendRequest(
  { url, clock }: Probe,
  headers: Readonly<Record<string, string>> = {},
): Promise<ProbeResponse> {
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

function bodyOf(text: string): ProbeResponse['body'] {
  try {
    return Object(JSON.parse(text)) as ProbeResponse['body'];
  } catch {
    return {};
  }
}

function checkFirstResponse({ status, body }: ProbeResponse): Finding {
  const check = 'answers';
  if (status === 501 && body.error === 'MethodNotImplemented') {
    return { check, ok: true, found: 'a Nightjar server responds at this URL' };
  }
  const found = `status ${status}`;
  if (status === 429) {
    const remedy = 'The limit of your address is already used up. Wait two minutes, then run this again.';
    return { check, ok: false, found, remedy };
  }
  const remedy =
    status === 400
      ? 'The server treats your address as a proxy. Send the requests through its proxy, or from a machine outside TRUSTED_PROXY_CIDRS.'
      : 'Give the URL under which clients reach the service, without a path; its proxy must forward /xrpc/.';
  return { check, ok: false, found, remedy };
}

/**
 * Repeats a refused probe with an X-Forwarded-For header. If the server then accepts the probe, it trusts this header
 * from every client.
 */
async function* checkTrust(probe: Probe): AsyncGenerator<Finding> {
  const { status } = await sendRequest(probe, { 'X-Forwarded-For': spoofedAddress(0) });
  if (status === 501) yield spoofable(['X-Forwarded-For']);
}

function checkHeaders(first: ProbeResponse): Finding {
  const { limit, remaining, restoredInSeconds, policy } = first;
  const window = windowSecondsOf(first);
  const problems = [
    ...(Number.isInteger(limit) && limit > 0 ? [] : ['RateLimit-Limit is not a positive number']),
    ...(remaining >= 0 && remaining < limit ? [] : ['RateLimit-Remaining is not below the limit']),
    // The server's and this machine's clock each round by up to a second.
    ...(restoredInSeconds >= -2 && restoredInSeconds <= window * 2 + 2
      ? []
      : ['RateLimit-Reset is not within two windows']),
    ...(policy === `${limit};w=${window}` ? [] : ['RateLimit-Policy is not <limit>;w=<seconds>']),
  ];
  if (problems.length === 0) return { check: 'headers', ok: true, found: `RateLimit-Policy ${policy}` };
  const remedy =
    'A proxy in front removes or rewrites RateLimit-* headers: let it forward them. Or your address is in ' +
    'CLIENT_ALLOW_CIDRS, which is not limited: run this from another address.';
  return { check: 'headers', ok: false, found: problems.join('; '), remedy };
}

function windowSecondsOf({ policy }: ProbeResponse): number {
  return Number(/;w=(\d+)$/.exec(policy)?.[1] ?? 'absent');
}

/**
 * The number of requests that were admitted before the first refusal. The first probe, which returned the limit, does
 * not count.
 */
interface BurstResult {
  readonly admitted: number;
  readonly refusal: ProbeResponse | undefined;
  readonly tookMs: number;
}

/** Sends requests until one is refused, or until many more were admitted than the limit allows. */
async function runBurst(probe: Probe, first: ProbeResponse): Promise<BurstResult> {
  const startedMs = probe.clock.monotonicMs();
  const admittedMax = Math.min(burstMax, 2 * first.remaining + 100);
  let admitted = 0;
  let refusal: ProbeResponse | undefined;
  const sendUntilRefused = async (): Promise<void> => {
    while (refusal === undefined && admitted < admittedMax) {
      const response = await sendRequest(probe);
      if (response.status === 429) refusal ??= response;
      else admitted++;
    }
  };
  await Promise.all(Array.from({ length: connections }, sendUntilRefused));
  return { admitted, refusal, tookMs: probe.clock.monotonicMs() - startedMs };
}

function checkBurst(first: ProbeResponse, { admitted, refusal, tookMs }: BurstResult): Finding {
  const check = 'burst';
  const announced = first.remaining;
  const refilled = Math.ceil((tookMs / 1000) * rateOf(first)) + 1;
  const found = `${announced} announced, ${admitted} admitted in ${Math.round(tookMs)} ms`;
  if (refusal === undefined) {
    const remedy =
      'No request was refused. Lower RATE_LIMIT_IP_BURST, or do not use a proxy that spreads requests over many addresses.';
    return { check, ok: false, found, remedy };
  }
  if (admitted > announced + refilled) {
    const remedy =
      'More requests were admitted than announced. Servers that count separately need a shared store: see docs/quotas.md.';
    return { check, ok: false, found, remedy };
  }
  if (admitted < announced) {
    const remedy =
      'Another client uses this address, or a proxy limits requests too. Run this again from an idle address.';
    return { check, ok: false, found, remedy };
  }
  return { check, ok: true, found };
}

function rateOf(response: ProbeResponse): number {
  return response.limit / windowSecondsOf(response);
}

function checkRefusal(refusal: ProbeResponse, first: ProbeResponse): Finding {
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
  const remedy = 'The refusal is not from Nightjar: a proxy in front limits requests or replaces error responses.';
  return { check: 'refusal', ok: false, found: problems.join('; '), remedy };
}

async function checkRetryAfter(probe: Probe): Promise<Finding> {
  const check = 'retry-after';
  const refusal = await exhaust(probe);
  if (refusal === undefined)
    return { check, ok: false, found: 'requests were admitted again without a wait', remedy: refillRemedy };
  const { retryAfterSeconds } = refusal;
  if (!(retryAfterSeconds <= waitSecondsMax)) {
    const remedy = `Retry-After is not a number, or above ${waitSecondsMax} seconds: raise the limit.`;
    return { check, ok: false, found: 'not waited for', remedy };
  }
  await probe.clock.sleep(retryAfterSeconds * 1000);
  const { status } = await sendRequest(probe);
  if (status !== 429) return { check, ok: true, found: `after ${retryAfterSeconds} s the next request was admitted` };
  const remedy =
    'Another client uses this address, or a proxy limits requests too. Run this again from an idle address.';
  return { check, ok: false, found: `after ${retryAfterSeconds} s the next request was refused`, remedy };
}

const refillRemedy =
  'The limit refills faster than this test can send requests. Lower RATE_LIMIT_IP_PER_MINUTE, or run this closer to the server.';

/**
 * Sends requests until one is refused.
 * @returns the refusal, or undefined when 20 requests were admitted.
 */
async function exhaust(probe: Probe): Promise<ProbeResponse | undefined> {
  for (let tries = 0; tries < triesToExhaust; tries++) {
    const response = await sendRequest(probe);
    if (response.status === 429) return response;
  }
  return undefined;
}

/**
 * Checks that no request with a spoofed address gets a separate limit while the limit of this client is used up. A
 * separate limit shows in the response, which has as many requests left as that of the first probe.
 */
async function checkClientAddress(probe: Probe, first: ProbeResponse): Promise<Finding> {
  const check = 'client-address';
  if (first.remaining < 2) {
    const remedy = 'Raise RATE_LIMIT_IP_BURST to 3 or more, or run this again from an idle address.';
    return { check, ok: false, found: 'the burst is too small for this check', remedy };
  }
  const accepted: string[] = [];
  for (const [index, form] of spoofedForms.entries()) {
    if ((await exhaust(probe)) === undefined) return { check, ok: false, found: 'not tested', remedy: refillRemedy };
    const { status, remaining } = await sendRequest(probe, form(spoofedAddress(index)));
    if (status !== 429 && !(remaining < first.remaining)) accepted.push(Object.keys(form('')).join(' and '));
  }
  if (accepted.length > 0) return spoofable(accepted);
  return { check, ok: true, found: `${spoofedForms.length} forms of spoofed addresses did not get a separate limit` };
}

function spoofable(headers: readonly string[]): Finding {
  const remedy =
    'Any client can choose the address that is counted. TRUSTED_PROXY_CIDRS must list your own proxies only, and they must ' +
    'append to X-Forwarded-For or replace it. (From a trusted machine this is expected: run it from outside.)';
  return { check: 'client-address', ok: false, found: `accepted: ${[...new Set(headers)].join(', ')}`, remedy };
}
