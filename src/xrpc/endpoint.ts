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
import { encodeJson } from '#platform/encode-json.ts';
import { InvariantError } from '#platform/errors.ts';
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
  /** `main` of the generated module: the method's name, parameters, bodies and error names. */
  readonly lexicon: Lexicon;
  /** The row of the quota table that the caller is charged. */
  readonly quota: CallerQuotaName;
}

export interface QueryDeclaration<Lexicon extends Query> extends Declaration<Lexicon> {
  readonly auth: 'service-token';
  readonly handler: (request: {
    readonly caller: Caller;
    readonly params: ParamsOf<Lexicon>;
  }) => Promise<OutputOf<Lexicon>>;
}

export interface ProcedureDeclaration<Lexicon extends Procedure> extends Declaration<Lexicon> {
  readonly auth: 'service-token';
  /** Largest body; default `limits.smallBodySizeBytesMax`. */
  readonly bodySizeBytesMax?: number;
  readonly handler: (request: {
    readonly caller: Caller;
    readonly params: ParamsOf<Lexicon>;
    readonly input: InputOf<Lexicon>;
  }) => Promise<OutputOf<Lexicon>>;
}

export interface SubscriptionDeclaration<
  Lexicon extends Subscription,
  Admission extends { readonly caller: Caller },
> extends Declaration<Lexicon> {
  readonly auth: 'ticket';
  /** Proves who asks, before anything is charged to them. Throws an AppError to refuse. */
  readonly admit: (request: { readonly params: ParamsOf<Lexicon> }) => Promise<Admission>;
  /** The last chance to refuse with an AppError; the taker gets the socket once it is open, and adds its own listeners at once. */
  readonly open: (request: {
    readonly admission: Admission;
    readonly params: ParamsOf<Lexicon>;
  }) => Promise<SocketTaker>;
}

export interface EventStreamDeclaration<Lexicon extends Query> extends Declaration<Lexicon> {
  readonly auth: 'service-token';
  /** Refuses with an AppError; the taker gets the response once its headers are sent, and ends it. */
  readonly open: (request: {
    readonly caller: Caller;
    readonly params: ParamsOf<Lexicon>;
    /** What a client that connects again has got last. */
    readonly lastEventId: string | undefined;
  }) => Promise<ResponseTaker>;
}

/** Takes over a response whose headers are sent. */
export type ResponseTaker = (response: ServerResponse) => void;

/** Takes over an open socket for good. */
export type SocketTaker = (socket: WebSocket) => void;

/** One method that is ready to mount; what its lexicon makes of types stays inside. */
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
  readonly bodySizeBytesMax: number;
  /** Checks the input, runs the handler, checks its output: the answer as JSON text. */
  readonly answer: (request: MethodRequest) => Promise<string>;
}

export interface EventStreamEndpoint extends EndpointFacts {
  readonly kind: 'eventStream';
  readonly auth: 'service-token';
  readonly open: (request: {
    readonly caller: Caller;
    readonly search: URLSearchParams;
    readonly lastEventId: string | undefined;
  }) => Promise<ResponseTaker>;
}

export interface SubscriptionEndpoint extends EndpointFacts {
  readonly kind: 'subscription';
  readonly auth: 'ticket';
  readonly admit: (search: URLSearchParams) => Promise<Admitted>;
}

export interface Admitted {
  readonly caller: Caller;
  readonly open: () => Promise<SocketTaker>;
}

export interface MethodRequest {
  readonly caller: Caller;
  readonly search: URLSearchParams;
  /** Reads and parses the body when called. */
  readonly readBody: () => Promise<unknown>;
}

/** Declares a query (GET). */
export function query<const Lexicon extends Query>(declaration: QueryDeclaration<Lexicon>): MethodEndpoint {
  const { lexicon, handler } = declaration;
  return {
    ...facts(declaration),
    kind: 'query',
    auth: declaration.auth,
    bodySizeBytesMax: limits.smallBodySizeBytesMax,
    async answer({ caller, search }) {
      const params: ParamsOf<Lexicon> = parseParams(lexicon.parameters, search);
      return checkedJson(lexicon, await handler({ caller, params }));
    },
  };
}

/** Declares a procedure (POST). */
export function procedure<const Lexicon extends Procedure>(declaration: ProcedureDeclaration<Lexicon>): MethodEndpoint {
  const { lexicon, handler } = declaration;
  return {
    ...facts(declaration),
    kind: 'procedure',
    auth: declaration.auth,
    bodySizeBytesMax: declaration.bodySizeBytesMax ?? limits.smallBodySizeBytesMax,
    async answer({ caller, search, readBody }) {
      const params: ParamsOf<Lexicon> = parseParams(lexicon.parameters, search);
      const { schema } = lexicon.input;
      // The conditional type cannot be followed here: with a schema InputOf is its output, without one undefined.
      const input = (schema === undefined ? undefined : parseInput(schema, await readBody())) as InputOf<Lexicon>;
      return checkedJson(lexicon, await handler({ caller, params, input }));
    },
  };
}

/** Declares a query whose answer is a stream of server-sent events. */
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
export function subscription<const Lexicon extends Subscription, Admission extends { readonly caller: Caller }>(
  declaration: SubscriptionDeclaration<Lexicon, Admission>,
): SubscriptionEndpoint {
  const { lexicon } = declaration;
  return {
    ...facts(declaration),
    kind: 'subscription',
    auth: declaration.auth,
    async admit(search) {
      const params: ParamsOf<Lexicon> = parseParams(lexicon.parameters, search);
      const admission = await declaration.admit({ params });
      return { caller: admission.caller, open: () => declaration.open({ admission, params }) };
    },
  };
}

function facts(declaration: Declaration<Query | Procedure | Subscription>): EndpointFacts {
  const { lexicon, quota } = declaration;
  return { nsid: lexicon.nsid, quota, errors: new Set(lexicon.errors) };
}

/** @throws InvariantError when the handler's output does not fit its lexicon. */
function checkedJson(lexicon: Query | Procedure, output: unknown): string {
  const { schema } = lexicon.output;
  if (schema !== undefined && !schema.safeValidate(output).success)
    throw new InvariantError('output does not fit the lexicon');
  return encodeJson(output ?? {});
}
