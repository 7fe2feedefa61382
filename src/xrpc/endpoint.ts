import type { ServerResponse } from 'node:http';
import type {
  InferInput,
  InferOutput,
  LexValue,
  Payload,
  Procedure,
  Query,
  Schema,
  Subscription,
} from '@atproto/lex-schema';
import type { WebSocket } from 'ws';
import type { Caller } from '#domain/caller.ts';
import type { TokenUse } from '#domain/token-use.ts';
import { encodeJson } from '#platform/encode-json.ts';
import { limits } from '#platform/limits.ts';
import type { CallerQuotaName } from '#quota/table/quotas.ts';
import { parseInput, parseParams } from './input/lexicon-input.ts';
import type { WireValue } from './response/wire-value.ts';

type ParamsOf<Lexicon extends Query | Procedure | Subscription> = InferOutput<Lexicon['parameters']>;
type InputOf<Lexicon extends Procedure> =
  Lexicon['input'] extends Payload<string, infer Body extends Schema<LexValue>> ? InferOutput<Body> : undefined;
type OutputOf<Lexicon extends Query | Procedure> =
  Lexicon['output'] extends Payload<string, infer Body extends Schema<LexValue>>
    ? WireValue<InferInput<Body>>
    : undefined;

interface Declaration<Lexicon> {
  /**
   * The `main` export of the generated module, which has the name, parameters, bodies and error names of the method.
   */
  readonly lexicon: Lexicon;
  /** The quota that the account is charged for each call. */
  readonly quota: CallerQuotaName;
}

export interface QueryDeclaration<Lexicon extends Query> extends Declaration<Lexicon> {
  readonly auth: 'service-token';
  readonly handler: (request: {
    readonly caller: Caller;
    readonly params: ParamsOf<Lexicon>;
  }) => Promise<OutputOf<Lexicon>>;
}

export interface EncodedQueryDeclaration<Lexicon extends Query> extends Declaration<Lexicon> {
  readonly auth: 'service-token';
  /** Returns the output as JSON in UTF-8. */
  readonly handler: (request: { readonly caller: Caller; readonly params: ParamsOf<Lexicon> }) => Promise<Buffer>;
}

export interface ProcedureDeclaration<Lexicon extends Procedure> extends Declaration<Lexicon> {
  readonly auth: 'service-token';
  /** Largest body in bytes, by default `limits.smallBodySizeBytesMax`. */
  readonly bodySizeBytesMax?: number;
  /** Whether the handler gets `tokenUse`, and records it together with its writes. By default it is recorded before. */
  readonly recordsTokenUse?: boolean;
  readonly handler: (request: {
    readonly caller: Caller;
    readonly params: ParamsOf<Lexicon>;
    readonly input: InputOf<Lexicon>;
    /** The use of the token, if the handler has to record it. */
    readonly tokenUse: TokenUse | undefined;
  }) => Promise<OutputOf<Lexicon>>;
}

export interface SubscriptionDeclaration<
  Lexicon extends Subscription,
  Identity extends { readonly caller: Caller },
> extends Declaration<Lexicon> {
  readonly auth: 'ticket';
  /**
   * Identifies the caller before the account is charged.
   * @throws AppError to refuse the request.
   */
  readonly authenticate: (request: { readonly params: ParamsOf<Lexicon> }) => Promise<Identity>;
  /**
   * Checks the request, and returns the function that serves the open WebSocket.
   * @throws AppError to refuse the request.
   */
  readonly open: (request: {
    readonly identity: Identity;
    readonly params: ParamsOf<Lexicon>;
  }) => Promise<ServeWebSocket>;
}

export interface EventStreamDeclaration<Lexicon extends Query> extends Declaration<Lexicon> {
  readonly auth: 'service-token';
  /**
   * Checks the request, and returns the function that writes the events and ends the response.
   * @throws AppError to refuse the request.
   */
  readonly open: (request: {
    readonly caller: Caller;
    readonly params: ParamsOf<Lexicon>;
    /** The cursor of the last event that a reconnecting client has received. */
    readonly lastEventId: string | undefined;
  }) => Promise<ServeEventStream>;
}

/** Writes events to a response whose headers have been sent. */
export type ServeEventStream = (response: ServerResponse) => void;

/** Serves an open WebSocket. Must add its listeners before it returns. */
export type ServeWebSocket = (socket: WebSocket) => void;

/** One method of the API. The types of its lexicon are hidden, so that all endpoints fit one map. */
export type Endpoint = MethodEndpoint | EventStreamEndpoint | SubscriptionEndpoint;

interface EndpointFacts {
  readonly nsid: string;
  readonly quota: CallerQuotaName;
  /** Error names that the lexicon declares. */
  readonly errors: ReadonlySet<string>;
}

export interface MethodEndpoint extends EndpointFacts {
  readonly kind: 'query' | 'procedure';
  readonly auth: 'service-token';
  /** Whether `call` needs the body of the request. */
  readonly readsBody: boolean;
  readonly bodySizeBytesMax: number;
  /** Whether `call` gets the use of the token, and records it if it has an effect. */
  readonly recordsTokenUse: boolean;
  /** The lexicon of the output; undefined for methods without one. */
  readonly output: Schema<LexValue> | undefined;
  /**
   * Checks the input and runs the handler. Throws or rejects.
   * @returns the output as JSON, either as text or in UTF-8.
   */
  readonly call: (request: MethodRequest) => Promise<string | Buffer>;
}

export interface EventStreamEndpoint extends EndpointFacts {
  readonly kind: 'eventStream';
  readonly auth: 'service-token';
  readonly open: (request: {
    readonly caller: Caller;
    readonly search: string;
    readonly lastEventId: string | undefined;
  }) => Promise<ServeEventStream>;
}

export interface SubscriptionEndpoint extends EndpointFacts {
  readonly kind: 'subscription';
  readonly auth: 'ticket';
  readonly authenticate: (search: string) => Promise<Authenticated>;
}

export interface Authenticated {
  readonly caller: Caller;
  readonly open: () => Promise<ServeWebSocket>;
}

export interface MethodRequest {
  readonly caller: Caller;
  /** The query string without its question mark. */
  readonly search: string;
  /** The body as parsed JSON, if the endpoint reads it. */
  readonly body?: unknown;
  readonly tokenUse?: TokenUse | undefined;
}

/** Declares a query (GET). */
export function query<const Lexicon extends Query>(declaration: QueryDeclaration<Lexicon>): MethodEndpoint {
  const { handler } = declaration;
  return encodedBy(declaration, (request) => handler(request).then(encodeOutput));
}

/** Declares a query (GET) whose handler encodes the output itself, because objects for it would cost too much. */
export function encodedQuery<const Lexicon extends Query>(
  declaration: EncodedQueryDeclaration<Lexicon>,
): MethodEndpoint {
  return encodedBy(declaration, declaration.handler);
}

function encodedBy<Lexicon extends Query>(
  declaration: Declaration<Lexicon>,
  respond: (request: { caller: Caller; params: ParamsOf<Lexicon> }) => Promise<string | Buffer>,
): MethodEndpoint {
  const { lexicon } = declaration;
  return {
    ...facts(declaration),
    kind: 'query',
    auth: 'service-token',
    readsBody: false,
    bodySizeBytesMax: limits.smallBodySizeBytesMax,
    recordsTokenUse: false,
    output: lexicon.output.schema,
    call({ caller, search }) {
      const params: ParamsOf<Lexicon> = parseParams(lexicon.parameters, search);
      return respond({ caller, params });
    },
  };
}

/** Declares a procedure (POST). */
export function procedure<const Lexicon extends Procedure>(declaration: ProcedureDeclaration<Lexicon>): MethodEndpoint {
  const { lexicon, handler } = declaration;
  const { schema } = lexicon.input;
  return {
    ...facts(declaration),
    kind: 'procedure',
    auth: declaration.auth,
    readsBody: schema !== undefined,
    bodySizeBytesMax: declaration.bodySizeBytesMax ?? limits.smallBodySizeBytesMax,
    recordsTokenUse: declaration.recordsTokenUse ?? false,
    output: lexicon.output.schema,
    call({ caller, search, body, tokenUse }) {
      const params: ParamsOf<Lexicon> = parseParams(lexicon.parameters, search);
      // The cast is needed because TypeScript cannot resolve the conditional type InputOf here.
      const input = (schema === undefined ? undefined : parseInput(schema, body)) as InputOf<Lexicon>;
      return handler({ caller, params, input, tokenUse }).then(encodeOutput);
    },
  };
}

function encodeOutput(output: unknown): string {
  return encodeJson(output ?? {});
}

/** Declares a query that responds with a stream of server-sent events. */
export function eventStream<const Lexicon extends Query>(
  declaration: EventStreamDeclaration<Lexicon>,
): EventStreamEndpoint {
  const { lexicon } = declaration;
  return {
    ...facts(declaration),
    kind: 'eventStream',
    auth: declaration.auth,
    async open({ caller, search, lastEventId }) {
      const params: ParamsOf<Lexicon> = parseParams(lexicon.parameters, search);
      return declaration.open({ caller, params, lastEventId });
    },
  };
}

/** Declares a subscription (GET that becomes a WebSocket). */
export function subscription<const Lexicon extends Subscription, Identity extends { readonly caller: Caller }>(
  declaration: SubscriptionDeclaration<Lexicon, Identity>,
): SubscriptionEndpoint {
  const { lexicon } = declaration;
  return {
    ...facts(declaration),
    kind: 'subscription',
    auth: declaration.auth,
    async authenticate(search) {
      const params: ParamsOf<Lexicon> = parseParams(lexicon.parameters, search);
      const identity = await declaration.authenticate({ params });
      return { caller: identity.caller, open: () => declaration.open({ identity, params }) };
    },
  };
}

function facts(declaration: Declaration<Query | Procedure | Subscription>): EndpointFacts {
  const { lexicon, quota } = declaration;
  return { nsid: lexicon.nsid, quota, errors: new Set(lexicon.errors) };
}
