import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { CheckedClient, CheckedClients } from '../checked-client.ts';
import type { CallFault } from '../faults.ts';
import type { CallRecord } from '../record.ts';
import { noOutcome, objectOf, outcomeOf } from './read-call.ts';

/** Headers of one connection, which a proxy does not forward (RFC 9110 section 7.6.1), and those that `fetch` sets itself. */
const ownHeaders = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'host',
  'content-length',
  'te',
]);
/** `fetch` has decoded the body. */
const bodyHeaders = new Set(['content-encoding', 'content-length', 'transfer-encoding', 'connection', 'keep-alive']);

const errorTexts: Readonly<Record<string, string>> = {
  RateLimitExceeded: 'Too many requests. Wait as long as Retry-After says.',
  ServiceUnavailable: 'The service cannot answer now. Try again as Retry-After says.',
  WelcomeNotFound: 'No Welcome waits for you. Join by external commit, or ask a member to add you again.',
};

export interface CallToForward {
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
  /** URL of the service behind the check. */
  readonly serviceUrl: string;
}

/** Sends the request to the service. */
export function forward({ incoming, body, serviceUrl }: CallToForward, url = incoming.url): Promise<Response> {
  const headers = Object.entries(incoming.headers).flatMap(([name, value]): [string, string][] =>
    ownHeaders.has(name) || value === undefined ? [] : [[name, String(value)]],
  );
  const method = incoming.method ?? 'GET';
  const hasBody = method !== 'GET' && method !== 'HEAD';
  return fetch(`${serviceUrl}${url ?? '/'}`, {
    method,
    headers,
    redirect: 'manual',
    ...(hasBody ? { body: new Uint8Array(body) } : {}),
  });
}

export function headersOf(response: Response): OutgoingHttpHeaders {
  return Object.fromEntries([...response.headers].filter(([name]) => !bodyHeaders.has(name)));
}

/** Executes a call of the client under test with the fault that is planned for it, and records what the client gets. */
export async function forwardCall(
  call: CallRecord,
  client: CheckedClient,
  clients: CheckedClients,
  toForward: CallToForward,
): Promise<void> {
  const { incoming, response } = toForward;
  const fault = client.faults.take(call);
  if (fault?.kind === 'cut') return cut(call, incoming);
  if (fault?.kind === 'respond') return respond(call, response, fault);
  const received = await receive(fault, toForward);
  const isTicket = call.method === 'getSubscriptionTicket' && received.ok;
  const text = isTicket ? ticketOfCheck(await received.text(), incoming) : await received.text();
  if (isTicket) noteTicket(text, client, clients);
  if (fault?.kind === 'lose-response') return cut(call, incoming);
  if (fault?.kind === 'hold-response') await fault.until;
  call.outcome = outcomeOf(received, text, false);
  response.writeHead(received.status, headersOf(received)).end(text);
}

/** The response of the service to a call that it gets. */
async function receive(fault: CallFault | undefined, toForward: CallToForward): Promise<Response> {
  if (fault?.kind === 'hold') await fault.until;
  return forward(toForward, fault?.kind === 'limit' ? withLimit(toForward.incoming, fault.limit) : undefined);
}

function cut(call: CallRecord, incoming: IncomingMessage): void {
  call.outcome = noOutcome();
  incoming.socket.destroy();
}

function respond(call: CallRecord, response: ServerResponse, fault: CallFault & { readonly kind: 'respond' }): void {
  const { status, error, retryAfterSeconds } = fault;
  const body = JSON.stringify({ error, message: errorTexts[error] ?? error });
  const retryAfter = retryAfterSeconds === undefined ? undefined : String(retryAfterSeconds);
  const headers = { 'content-type': 'application/json', ...(retryAfter && { 'retry-after': retryAfter }) };
  call.outcome = outcomeOf(new Response(body, { status, headers }), body, true);
  response.writeHead(status, headers).end(body);
}

/** The path of a request with another `limit`. */
function withLimit({ url }: IncomingMessage, limit: number): string {
  const changed = new URL(url ?? '/', 'http://service');
  changed.searchParams.set('limit', String(limit));
  return `${changed.pathname}${changed.search}`;
}

/** The ticket with the address of the check instead of that of the service. */
function ticketOfCheck(text: string, { headers }: IncomingMessage): string {
  const { endpoint, ...ticket } = objectOf(text);
  const { pathname } = new URL(typeof endpoint === 'string' ? endpoint : '/', 'ws://service');
  return JSON.stringify({ ...ticket, endpoint: `ws://${headers.host ?? '127.0.0.1'}${pathname}` });
}

/** Later the ticket says whose connection it opens. */
function noteTicket(text: string, client: CheckedClient, clients: CheckedClients): void {
  const { ticket } = objectOf(text);
  if (typeof ticket === 'string') clients.noteTicket(ticket, client);
}
