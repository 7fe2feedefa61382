import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** One action of a client on its connection: bytes, a pause, or text sent one character at a time. */
export type Step = string | Buffer | { readonly waitMs: number } | { readonly send: string; readonly everyMs: number };

/** The expected first response. */
export interface Expected {
  readonly status: number;
  readonly error?: string;
  /** The connection closes after the response. */
  readonly closes?: true;
}

export interface HttpCase {
  readonly name: string;
  readonly group: string;
  readonly steps: readonly Step[];
  readonly expected: Expected;
  /**
   * The result behind a proxy. `refused`, the default: a 4xx, a 5xx or a closed connection. `rewritten`: also a valid request that the
   * proxy makes of it. `skip`: the proxy waits for longer than a test may take, or never forwards such bytes.
   */
  readonly proxy?: 'refused' | 'rewritten' | 'skip';
  /** The target of the test needs short timeouts. */
  readonly isSlow?: true;
}

export interface Target {
  readonly host: string;
  readonly port: number;
}

export interface ReceivedResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** The result for the client. */
export interface Outcome {
  readonly responses: readonly ReceivedResponse[];
  readonly isClosed: boolean;
  /** Milliseconds from the last step to the end. */
  readonly waitedMs: number;
}

const headEnd = '\r\n\r\n';

/** Runs the steps of `httpCase`, then waits until the connection closes or `quietMs` have passed since a response. */
export async function runCase(target: Target, httpCase: HttpCase, timeoutMs = 2_000): Promise<Outcome> {
  const socket = connect(target.port, target.host);
  const chunks: Buffer[] = [];
  const state = { isClosed: false, receivedAtMs: 0 };
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    state.receivedAtMs = performance.now();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => void (state.isClosed = true));
  socket.on('end', () => void (state.isClosed = true));
  await once(socket, 'connect');
  for (const step of httpCase.steps) await runStep(socket, step, state);
  const startedMs = performance.now();
  const text = (): string => Buffer.concat(chunks).toString('latin1');
  const isOver = (): boolean => {
    const nowMs = performance.now();
    const isQuiet = responsesIn(text()).length > 0 && nowMs - state.receivedAtMs > quietMs;
    const isLast = httpCase.expected.closes ?? /^connection: close\r$/im.test(text());
    return state.isClosed || (isQuiet && !isLast) || nowMs - startedMs > timeoutMs;
  };
  while (!isOver()) await sleep(5);
  const waitedMs = performance.now() - startedMs;
  socket.destroy();
  return { responses: responsesIn(text()), isClosed: state.isClosed, waitedMs };
}

const quietMs = 80;

async function runStep(socket: Socket, step: Step, state: { readonly isClosed: boolean }): Promise<void> {
  if (state.isClosed) return;
  if (typeof step === 'string' || Buffer.isBuffer(step)) {
    if (!socket.write(step)) await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined);
  } else if ('waitMs' in step) {
    await sleep(step.waitMs);
  } else {
    for (const character of step.send) {
      if (state.isClosed) return;
      socket.write(character);
      await sleep(step.everyMs);
    }
  }
}

/** Every response except 100 Continue. A body has a Content-Length; there are no chunks. */
function responsesIn(text: string): ReceivedResponse[] {
  const responses: ReceivedResponse[] = [];
  let rest = text;
  while (rest.startsWith('HTTP/1.1 ')) {
    const end = rest.indexOf(headEnd);
    if (end === -1) break;
    const [, ...lines] = rest.slice(0, end).split('\r\n');
    const headers = new Map(
      lines.map((line) => [line.split(':', 1)[0]?.toLowerCase() ?? '', line.replace(/^[^:]*: ?/, '')]),
    );
    const bodyAt = end + headEnd.length;
    const bodyEnd = bodyAt + Number(headers.get('content-length') ?? 0);
    const status = Number(rest.slice(9, 12));
    if (status !== 100) responses.push({ status, headers, body: rest.slice(bodyAt, bodyEnd) });
    rest = rest.slice(bodyEnd);
  }
  return responses;
}

/** The difference between an outcome and the expected one; undefined without one. */
export function problemOf(
  httpCase: HttpCase,
  outcome: Outcome,
  through: 'direct' | 'proxy' = 'direct',
): string | undefined {
  return through === 'proxy' ? problemBehindProxy(httpCase, outcome) : problemOfResponse(httpCase.expected, outcome);
}

function problemOfResponse({ status, error, closes }: Expected, { responses, isClosed }: Outcome): string | undefined {
  const [first, ...others] = responses;
  if (first === undefined) return `no response, ${isClosed ? 'closed' : 'silence'}`;
  if (first.status !== status) return `status ${first.status} instead of ${status}`;
  if (closes && !isClosed) return 'the connection stays open';
  if (error === undefined) return undefined;
  if (!first.body.includes(`"error":"${error}"`)) return `not ${error}: ${first.body.slice(0, 120)}`;
  return others.length === 0 ? undefined : `${others.length} more responses after the refusal`;
}

function problemBehindProxy({ proxy, expected }: HttpCase, { responses, isClosed }: Outcome): string | undefined {
  const [first] = responses;
  if (first === undefined) return isClosed ? undefined : 'silence';
  const mayPass = proxy === 'rewritten' || expected.status < 400;
  return mayPass || first.status >= 400 ? undefined : `accepted with ${first.status}`;
}
