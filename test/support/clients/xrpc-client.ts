import { parseJson, stringifyJson } from '#client/api/bytes.ts';
import { methods } from '#client/api/methods.ts';
import type { MethodName, Methods } from '#client/api/methods.ts';
import type { Account } from './account.ts';
import { noteRefusal } from '../recorded-refusals.ts';

/** Parameters of a query or body of a procedure. */
export type RequestOf<Name extends MethodName> = Methods[Name]['request'];
export type ResponseOf<Name extends MethodName> = Methods[Name]['response'];

/** An error response. */
export class XrpcFailure extends Error {
  override readonly name = 'XrpcFailure';
  readonly status: number;
  readonly error: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Headers;

  constructor(method: string, response: RawResponse) {
    const body = JSON.parse(response.text) as Record<string, unknown>;
    super(`${method} was refused: ${response.status} ${String(body['error'])}`);
    this.status = response.status;
    this.error = String(body['error']);
    this.body = body;
    this.headers = response.headers;
  }
}

/** Returns the error name of an error response. */
export function errorNameOf(response: Pick<RawResponse, 'text'>): unknown {
  return (JSON.parse(response.text) as Record<string, unknown>)['error'];
}

export interface RawResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** A request that need not fit the lexicon. */
export interface RawRequest {
  readonly verb?: 'GET' | 'POST';
  readonly search?: string;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: a new token for this method. */
  readonly token?: string;
}

/** The XRPC client of one account. */
export interface XrpcClient {
  readonly account: Account;
  readonly did: string;
  readonly server: ServerAddress;
  /** Calls a method with a new token; `$bytes` are Uint8Array in request and response. @throws XrpcFailure for an error response. */
  call<Name extends MethodName>(name: Name, request: RequestOf<Name>): Promise<ResponseOf<Name>>;
  /** Returns the refusal of a call. @throws Error when the call succeeds. */
  refusal<Name extends MethodName>(name: Name, request: RequestOf<Name>): Promise<XrpcFailure>;
  /** Sends a request without any check. */
  raw(name: string, request?: RawRequest): Promise<RawResponse>;
  /** Mints a new token for this method. */
  token(name: string): string;
}

export interface ServerAddress {
  readonly url: string;
  readonly serviceDid: string;
}

const namespace = 'blue.catbird.mls';
const timeoutMs = 20_000;

export function createXrpcClient({ server, account }: { server: ServerAddress; account: Account }): XrpcClient {
  const token = (name: string): string => account.mintToken({ aud: server.serviceDid, lxm: `${namespace}.${name}` });
  const raw: XrpcClient['raw'] = async (name, request = {}) => {
    const fetched = await fetch(`${server.url}/xrpc/${namespace}.${name}${request.search ?? ''}`, {
      method: request.verb ?? (request.body === undefined ? 'GET' : 'POST'),
      headers: {
        Authorization: `Bearer ${request.token ?? token(name)}`,
        ...(request.body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...request.headers,
      },
      ...(request.body === undefined ? {} : { body: request.body }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const response = { status: fetched.status, headers: fetched.headers, text: await fetched.text() };
    if (response.status !== 200 && response.text.startsWith('{')) noteRefusal(name, String(errorNameOf(response)));
    return response;
  };
  async function call<Name extends MethodName>(name: Name, request: RequestOf<Name>): Promise<ResponseOf<Name>> {
    const response = await raw(name, rawRequest(name, request));
    if (response.status !== 200) throw new XrpcFailure(name, response);
    // The server checks each response against the lexicon that this type is generated from.
    return parseJson(response.text) as ResponseOf<Name>;
  }
  return {
    account,
    did: account.did,
    server,
    token,
    raw,
    call,
    async refusal(name, request) {
      const response = await raw(name, rawRequest(name, request));
      if (response.status === 200) throw new Error(`${name} succeeded instead of being refused`);
      return new XrpcFailure(name, response);
    },
  };
}

/** Encodes a request as the method's lexicon requires. */
export function rawRequest<Name extends MethodName>(name: Name, request: RequestOf<Name>): RawRequest {
  if (methods[name].kind === 'procedure') return { verb: 'POST', body: stringifyJson(request) };
  const fields = Object.entries(request).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(
    fields.flatMap(([key, value]) =>
      (Array.isArray(value) ? value : [value]).map((item): [string, string] => [key, String(item)]),
    ),
  );
  return { verb: 'GET', search: `?${search.toString()}` };
}
