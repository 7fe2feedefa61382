import { lexParse, lexStringify } from '@atproto/lex-json';
import { Procedure } from '@atproto/lex-schema';
import type { InferInput, InferOutput, LexValue, Payload, Query, Schema } from '@atproto/lex-schema';
import * as mls from '#xrpc/lexicon/blue/catbird/mls.ts';
import type { WireValue } from '#xrpc/response/wire-value.ts';
import type { Account } from './account.ts';
import { noteRefusal } from '../seen-refusals.ts';

type Lexicons = typeof mls;
type MainOf<Name extends keyof Lexicons> = Lexicons[Name] extends { readonly main: infer Main } ? Main : never;

/** Every method of the contract but the subscription. */
export type MethodName = {
  [Name in keyof Lexicons]: MainOf<Name> extends never ? never : MainOf<Name> extends Query | Procedure ? Name : never;
}[keyof Lexicons];

type BodyOf<Part> = Part extends Payload<string, infer Body extends Schema<LexValue>> ? Body : never;
/** Parameters of a query or body of a procedure. */
export type RequestOf<Name extends MethodName> =
  MainOf<Name> extends Procedure
    ? WireValue<InferInput<BodyOf<MainOf<Name>['input']>>>
    : MainOf<Name> extends Query
      ? WireValue<InferInput<MainOf<Name>['parameters']>>
      : never;
export type AnswerOf<Name extends MethodName> =
  MainOf<Name> extends Query | Procedure ? InferOutput<BodyOf<MainOf<Name>['output']>> : never;

/** A refusal as it came over the wire. */
export class XrpcFailure extends Error {
  override readonly name = 'XrpcFailure';
  readonly status: number;
  readonly error: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Headers;

  constructor(method: string, answer: RawAnswer) {
    const body = JSON.parse(answer.text) as Record<string, unknown>;
    super(`${method} was refused: ${answer.status} ${String(body['error'])}`);
    this.status = answer.status;
    this.error = String(body['error']);
    this.body = body;
    this.headers = answer.headers;
  }
}

/** The error name in a refusal. */
export function errorNameOf(answer: Pick<RawAnswer, 'text'>): unknown {
  return (JSON.parse(answer.text) as Record<string, unknown>)['error'];
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** What to send instead of what the lexicon asks for. */
export interface RawRequest {
  readonly verb?: 'GET' | 'POST';
  readonly search?: string;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: a fresh one for this method. */
  readonly token?: string;
}

/** The XRPC client of one account. */
export interface XrpcClient {
  readonly account: Account;
  readonly did: string;
  readonly server: ServerAddress;
  /** Calls a method with a fresh token; `$bytes` become Uint8Array both ways. @throws XrpcFailure for a refusal. */
  call<Name extends MethodName>(name: Name, request: RequestOf<Name>): Promise<AnswerOf<Name>>;
  /** The refusal that a call must end with. @throws Error when it is answered. */
  refusal<Name extends MethodName>(name: Name, request: RequestOf<Name>): Promise<XrpcFailure>;
  /** Sends anything. */
  raw(name: string, request?: RawRequest): Promise<RawAnswer>;
  /** A fresh token for this method. */
  token(name: string): string;
}

export interface ServerAddress {
  readonly url: string;
  readonly serviceDid: string;
}

const namespace = 'blue.catbird.mls';
const lexicons: Readonly<Record<MethodName, { readonly main: Query | Procedure }>> = mls;
const timeoutMs = 20_000;

export function createXrpcClient({ server, account }: { server: ServerAddress; account: Account }): XrpcClient {
  const token = (name: string): string => account.mintToken({ aud: server.serviceDid, lxm: `${namespace}.${name}` });
  const raw: XrpcClient['raw'] = async (name, request = {}) => {
    const response = await fetch(`${server.url}/xrpc/${namespace}.${name}${request.search ?? ''}`, {
      method: request.verb ?? (request.body === undefined ? 'GET' : 'POST'),
      headers: {
        Authorization: `Bearer ${request.token ?? token(name)}`,
        ...(request.body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...request.headers,
      },
      ...(request.body === undefined ? {} : { body: request.body }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const answer = { status: response.status, headers: response.headers, text: await response.text() };
    if (answer.status !== 200 && answer.text.startsWith('{')) noteRefusal(name, String(errorNameOf(answer)));
    return answer;
  };
  async function call<Name extends MethodName>(name: Name, request: RequestOf<Name>): Promise<AnswerOf<Name>> {
    const answer = await raw(name, rawRequest(name, request));
    if (answer.status !== 200) throw new XrpcFailure(name, answer);
    // The server checks each answer against the lexicon that this type comes from.
    return lexParse(answer.text) as AnswerOf<Name>;
  }
  return {
    account,
    did: account.did,
    server,
    token,
    raw,
    call,
    async refusal(name, request) {
      const answer = await raw(name, rawRequest(name, request));
      if (answer.status === 200) throw new Error(`${name} was answered, not refused`);
      return new XrpcFailure(name, answer);
    },
  };
}

/** The request that the method's lexicon asks for. */
export function rawRequest<Name extends MethodName>(name: Name, request: RequestOf<Name>): RawRequest {
  const fields = Object.entries(request as object).filter(([, value]) => value !== undefined);
  if (lexicons[name].main instanceof Procedure) {
    return { verb: 'POST', body: lexStringify(Object.fromEntries(fields) as LexValue) };
  }
  const search = new URLSearchParams(
    fields.flatMap(([key, value]) =>
      (Array.isArray(value) ? value : [value]).map((item): [string, string] => [key, String(item)]),
    ),
  );
  return { verb: 'GET', search: `?${search.toString()}` };
}
