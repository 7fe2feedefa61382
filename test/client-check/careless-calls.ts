import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseJson, stringifyJson } from '#client/api/bytes.ts';
import type { ClientIdentity } from '../../bin/client-check/session.ts';
import { signToken } from './service-token.ts';
import type { TokenClaims } from './service-token.ts';

/** One thing that a careless client does wrong; `nothing` shows that it is otherwise correct. */
export type Carelessness =
  | 'nothing'
  | 'stays-away'
  | 'uses-a-token-twice'
  | 'names-another-method'
  | 'names-another-audience'
  | 'signs-for-an-hour'
  | 'keeps-the-old-key'
  | 'asks-for-too-much'
  | 'publishes-no-last-resort-package'
  | 'publishes-a-package-again'
  | 'runs-out-of-packages'
  | 'confirms-no-welcome'
  | 'asks-for-the-welcome-again'
  | 'gives-up-without-a-welcome'
  | 'does-not-pad'
  | 'sends-with-another-id'
  | 'sends-the-same-bytes-with-another-id'
  | 'encrypts-again'
  | 'uses-one-idempotency-key'
  | 'sends-in-an-epoch-that-is-over'
  | 'commits-in-an-epoch-that-is-over'
  | 'ignores-retry-after'
  | 'repeats-without-a-wait'
  | 'opens-two-streams'
  | 'uses-a-ticket-twice'
  | 'forgets-the-cursor'
  | 'keeps-the-first-cursor'
  | 'reconnects-without-a-wait'
  | 'ignores-an-unknown-cursor'
  | 'reads-one-page'
  | 'answers-repeated-events'
  | 'answers-out-of-order'
  | 'sends-after-its-removal'
  | 'stops-at-503';

export type Fields = Readonly<Record<string, unknown>>;

export interface CallResponse {
  readonly status: number;
  readonly body: Fields;
}

/** Calls methods with plain `fetch`, correctly except for the given carelessness. */
export class CarelessCalls {
  readonly identity: ClientIdentity;
  readonly carelessness: Carelessness;
  readonly signal: AbortSignal;
  readonly #tokens = new Map<string, string>();
  readonly #firstKey: string;

  constructor(identity: ClientIdentity, carelessness: Carelessness, signal: AbortSignal) {
    this.identity = identity;
    this.carelessness = carelessness;
    this.signal = signal;
    this.#firstKey = readFileSync(identity.keyFile, 'utf8');
  }

  get(method: string, parameters: Readonly<Record<string, string>>): Promise<CallResponse> {
    return this.#repeat(method, { search: new URLSearchParams(parameters) });
  }

  /** @param afterLoss makes the body of the next attempt when a response was lost. */
  post(method: string, body: Fields, afterLoss?: (body: Fields) => Promise<Fields>): Promise<CallResponse> {
    return this.#repeat(method, { body }, afterLoss);
  }

  async #repeat(
    method: string,
    request: { readonly search?: URLSearchParams; readonly body?: Fields },
    afterLoss?: (body: Fields) => Promise<Fields>,
  ): Promise<CallResponse> {
    let { body } = request;
    for (let attempt = 1; ; attempt += 1) {
      const response = await this.#attempt(method, { ...request, ...(body && { body }) }, attempt).catch(
        () => undefined,
      );
      this.signal.throwIfAborted();
      if (response === undefined) {
        await sleep(this.carelessness === 'repeats-without-a-wait' ? 30 : 150 * 2 ** (attempt - 1));
        body &&= (await afterLoss?.(body)) ?? body;
      } else if (!(await this.#isToRepeat(response, attempt))) {
        return { status: response.status, body: parseJson(await response.text()) as Fields };
      }
    }
  }

  /** Waits as long as the response says, or not. */
  async #isToRepeat({ status, headers }: Response, attempt: number): Promise<boolean> {
    if (status === 401) return attempt === 1;
    if (status !== 429 && status !== 503) return false;
    if (status === 503 && this.carelessness === 'stops-at-503') return new Promise(() => undefined);
    const waitMs = Number(headers.get('retry-after')) * 1_000 + 50;
    await sleep(this.carelessness === 'ignores-retry-after' ? 300 : waitMs);
    return true;
  }

  #attempt(
    method: string,
    { search, body }: { readonly search?: URLSearchParams; readonly body?: Fields },
    attempt: number,
  ): Promise<Response> {
    const nsid = `blue.catbird.mls.${method}`;
    const headers = { authorization: `Bearer ${this.#token(method, nsid, attempt)}` };
    const url = `${this.identity.serviceUrl}/xrpc/${nsid}${search === undefined ? '' : `?${search.toString()}`}`;
    if (body === undefined) return fetch(url, { headers, signal: this.signal });
    return fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: stringifyJson(body),
      signal: this.signal,
    });
  }

  /** A second attempt after a refusal has a correct token. */
  #token(method: string, nsid: string, attempt: number): string {
    const { carelessness, identity } = this;
    const key = carelessness === 'keeps-the-old-key' ? this.#firstKey : readFileSync(identity.keyFile, 'utf8');
    const isWrong = attempt === 1 && method === 'sendMessage';
    const known = this.#tokens.get(method);
    if (carelessness === 'uses-a-token-twice' && isWrong && known !== undefined) return known;
    const token = signToken(identity, key, nsid, isWrong ? wrongClaims(carelessness) : {});
    this.#tokens.set(method, token);
    return token;
  }
}

function wrongClaims(carelessness: Carelessness): TokenClaims {
  const nowSeconds = Math.floor(Date.now() / 1_000);
  if (carelessness === 'names-another-method') return { lxm: 'blue.catbird.mls.getConvos' };
  if (carelessness === 'names-another-audience') return { aud: 'did:web:another.test' };
  if (carelessness === 'signs-for-an-hour') return { iat: nowSeconds, exp: nowSeconds + 3_600 };
  return {};
}
