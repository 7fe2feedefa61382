import { l } from '@atproto/lex-schema';
import { Hono } from 'hono';
import type { WebSocket } from 'ws';
import { authError } from '#auth/auth-error.ts';
import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { edgeTimeouts } from '#edge/timeouts.ts';
import type { EdgeTimeouts } from '#edge/timeouts.ts';
import { systemClock } from '#platform/clock.ts';
import { readConfig } from '#platform/config/config.ts';
import { AppError } from '#platform/errors.ts';
import { createLogger } from '#platform/logging/logger.ts';
import { createQuota } from '#quota/table/charge.ts';
import type { QuotaCharger } from '#quota/table/charge.ts';
import { createClientAddress } from '#quota/client-address/client-address.ts';
import { createClientAddressLimiter } from '#quota/client-address/client-address-limiter.ts';
import type { ClientAddressLimiter } from '#quota/client-address/client-address-limiter.ts';
import { createFailedAuth } from '#quota/failed-authentication/failed-auth.ts';
import type { OpenStream } from '#stream/serve-stream.ts';
import { procedure, query, subscription } from '#xrpc/endpoint.ts';
import type { Endpoint } from '#xrpc/endpoint.ts';
import { createAdmission } from '#xrpc/overload/admission.ts';
import { createXrpcResponder } from '#xrpc/respond-to-xrpc.ts';
import { checkOutputs } from '#xrpc/response/output-check.ts';
import type { RequestObservation } from '#xrpc/respond-to-xrpc.ts';
import { listen } from '../../src/server/listen.ts';
import type { ListenOptions } from '../../src/server/listen.ts';

const json = 'application/json';

const describeLexicon = l.query(
  'com.example.describe',
  l.params({
    names: l.optional(l.array(l.string({ format: 'did' }), { maxLength: 3 })),
    limit: l.optional(l.withDefault(l.integer({ minimum: 1, maximum: 100 }), 50)),
    loud: l.optional(l.boolean()),
    colour: l.optional(l.string()),
  }),
  l.payload(
    json,
    l.object({
      caller: l.string({ format: 'did' }),
      names: l.array(l.string()),
      limit: l.integer(),
      loud: l.optional(l.boolean()),
      bytes: l.optional(l.bytes()),
    }),
  ),
  ['ConvoNotFound'],
);

const storeLexicon = l.procedure(
  'com.example.store',
  l.params(),
  l.jsonPayload({
    title: l.string({ maxLength: 20 }),
    body: l.optional(l.bytes({ maxLength: 1_000_000 })),
    items: l.optional(l.array(l.object({ size: l.integer({ minimum: 0 }) }), { maxLength: 2 })),
    kind: l.optional(l.enum(['app', 'commit'])),
  }),
  l.payload(json, l.object({ title: l.string(), sizeBytes: l.integer(), body: l.optional(l.bytes()) })),
  ['EpochMismatch'],
);

const failLexicon = l.procedure(
  'com.example.fail',
  l.params(),
  l.jsonPayload({ how: l.string() }),
  l.payload(json, l.object({ count: l.integer() })),
  ['EpochMismatch', 'ConvoNotFound', 'TooManyConnections'],
);

const watchLexicon = l.subscription(
  'com.example.watch',
  l.params({ ticket: l.optional(l.string()), room: l.optional(l.string()) }),
  l.object({ seq: l.integer() }),
  ['ConvoNotFound'],
);

export interface SampleApp {
  readonly origin: string;
  readonly port: number;
  /** Names of the handlers that ran. */
  readonly handled: string[];
  readonly observed: RequestObservation[];
  readonly logLines: string[];
  stop(): Promise<void>;
}

export const alice = 'did:plc:alicealicealicealicealic';

export interface SampleOptions {
  readonly address?: number;
  readonly addressBurst?: number;
  readonly caller?: number;
  readonly requestsInProgress?: number;
  readonly timeouts?: EdgeTimeouts;
  /** Settings of the listener, checked like those of the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Settings of the listener, not checked. */
  readonly listening?: Partial<ListenOptions['config']>;
}

/** The real listener and real quotas, with a query, two procedures and a subscription; the only valid token is `alice`. */
export async function startSampleApp(options: SampleOptions = {}): Promise<SampleApp> {
  const service = { handled: [] as string[], observed: [] as RequestObservation[], logLines: [] as string[] };
  const openStreams = new Set<OpenStream>();
  const endpoints = sampleEndpoints(service.handled, openStreams);
  const quota = createQuota({ config: rateLimitSettings(options), clock: systemClock });
  const logger = createLogger('info', { write: (line) => void service.logLines.push(line) });
  const respondToXrpc = createXrpcResponder({
    endpoints: checkOutputs(endpoints, 'test'),
    admission: createAdmission({ inProgressMax: options.requestsInProgress ?? 1_000 }),
    authenticate: async (authorization, method) => ({
      caller: await authenticate(authorization, method),
      tokenUse: undefined,
    }),
    quota,
    addressLimiter: sampleAddressLimiter(quota),
    logger,
    clock: systemClock,
    observe: (observation) => void service.observed.push(observation),
  });
  const { env, listening, timeouts = edgeTimeouts } = options;
  const config = { ...readConfig({ NODE_ENV: 'test', ...env }), ...listening };
  const where = { host: '127.0.0.1', port: 0, clock: systemClock, logger, config, timeouts };
  const { listener } = await listen(where, () => ({ respondToXrpc, http: new Hono(), endpoints, openStreams }));
  const { port } = listener;
  return { ...service, origin: `http://127.0.0.1:${port}`, port, stop: () => listener.stop() };
}

/** Trusts no proxy and bans no address. */
export function sampleAddressLimiter(quota: QuotaCharger): ClientAddressLimiter {
  return createClientAddressLimiter({
    clock: systemClock,
    quota,
    failedAuth: createFailedAuth({ clock: systemClock, banAfterFailures: 0 }),
    clientOf: createClientAddress({ cidrs: [], hops: 1, header: 'X-Forwarded-For' }),
    isAllowed: () => false,
    isDenied: () => false,
  });
}

async function authenticate(authorization: string | undefined, method: string): Promise<Caller> {
  if (authorization === undefined) throw authError('AuthMissing');
  if (authorization !== 'Bearer alice' || !method.startsWith('com.example.')) {
    throw authError('BadJwt');
  }
  return { did: alice };
}

function rateLimitSettings(rates: { address?: number; addressBurst?: number; caller?: number }) {
  const perCaller = rates.caller ?? 10_000;
  return {
    RATE_LIMIT_IP_PER_MINUTE: rates.address ?? 10_000,
    RATE_LIMIT_IP_BURST: rates.addressBurst ?? rates.address ?? 10_000,
    RATE_LIMIT_IP_NETWORK_PER_MINUTE: 10_000,
    RATE_LIMIT_IP_NETWORK_BURST: 10_000,
    RATE_LIMIT_FAILED_AUTH_PER_MINUTE: 10_000,
    RATE_LIMIT_SEND_MESSAGE: perCaller,
    RATE_LIMIT_PUBLISH_KEY_PACKAGE: perCaller,
    RATE_LIMIT_ADD_MEMBERS: perCaller,
    RATE_LIMIT_COMMIT: perCaller,
    RATE_LIMIT_REMOVE_MEMBER: perCaller,
    RATE_LIMIT_CREATE_CONVO: perCaller,
    RATE_LIMIT_REPORT_MEMBER: perCaller,
    RATE_LIMIT_REGISTER_DEVICE: perCaller,
    RATE_LIMIT_CHECK_BLOCKS: perCaller,
    RATE_LIMIT_SEND_CHAT_REQUEST: perCaller,
    RATE_LIMIT_GET_MESSAGES: perCaller,
    RATE_LIMIT_PENDING_ADDITIONS: perCaller,
    RATE_LIMIT_SYNC_KEY_PACKAGES: perCaller,
    RATE_LIMIT_SUBSCRIBE: perCaller,
    RATE_LIMIT_EXTERNAL_COMMIT: perCaller,
    RATE_LIMIT_DID_KIB_PER_MINUTE: 1_000_000,
    RATE_LIMIT_CONVO_KIB_PER_MINUTE: 1_000_000,
    RATE_LIMIT_TARGET_KEY_PACKAGES_PER_HOUR: 10_000,
    RATE_LIMIT_TARGET_KEY_PACKAGES_PER_CALLER_HOUR: 10_000,
    RATE_LIMIT_DID_DEFAULT: perCaller,
  };
}

export function sampleEndpoints(handled: string[], openStreams = new Set<OpenStream>()): Endpoint[] {
  return [
    query({
      lexicon: describeLexicon,
      auth: 'service-token',
      quota: 'callerDefault',
      async handler({ caller, params }) {
        handled.push('describe');
        const { names = [], limit, loud } = params;
        return { caller: caller.did, names, limit, loud, bytes: Buffer.from([1, 2, 3, 4]) };
      },
    }),
    procedure({
      lexicon: storeLexicon,
      auth: 'service-token',
      quota: 'sendMessage',
      bodySizeBytesMax: 2_000_000,
      async handler({ input }) {
        handled.push('store');
        return { title: input.title, sizeBytes: input.body?.length ?? 0, body: input.body };
      },
    }),
    procedure({
      lexicon: failLexicon,
      auth: 'service-token',
      quota: 'callerDefault',
      async handler({ input }) {
        handled.push('fail');
        if (input.how === 'declared') throw domainError('EpochMismatch', { currentEpoch: 7 });
        if (input.how === 'undeclared') throw domainError('NotAdmin');
        if (input.how === 'busy') throw domainError('TooManyConnections');
        if (input.how === 'general') throw new AppError('ServiceUnavailable', 'Later.', { retryAfterSeconds: 3 });
        if (input.how === 'unexpected') throw new Error('secret words of did:plc:person');
        return { count: 0.5 };
      },
    }),
    subscription({
      lexicon: watchLexicon,
      auth: 'ticket',
      quota: 'subscribe',
      async authenticate({ params }) {
        if (params.ticket !== 'alice') throw new AppError('BadTicket', 'The ticket is not valid.');
        return { caller: { did: alice }, room: params.room };
      },
      async open({ identity }) {
        if (identity.room === 'nowhere') throw domainError('ConvoNotFound');
        handled.push('watch');
        return (socket) => {
          const stream = openStreamOf(socket);
          openStreams.add(stream);
          socket.on('close', () => openStreams.delete(stream));
          socket.on('message', (data) => socket.send(data));
          socket.on('error', () => socket.terminate());
          socket.send(Buffer.from([0xa1, 0x00, 0x01]));
        };
      },
    }),
  ];
}

function openStreamOf(socket: WebSocket): OpenStream {
  const terminate = (): void => socket.terminate();
  return {
    transport: 'websocket',
    did: alice,
    openedAtMs: 0,
    close: () => socket.close(1012),
    end: terminate,
    terminate,
  };
}
