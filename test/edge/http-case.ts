import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Something that a client does on its connection. */
export type Step = string | Buffer | { readonly waitMs: number } | { readonly send: string; readonly everyMs: number };

/** The first answer. */
export interface Expected {
  readonly status: number;
  readonly error?: string;
  /** The connection ends after it. */
  readonly closes?: true;
}

export interface HttpCase {
  readonly name: string;
  readonly group: string;
  readonly steps: readonly Step[];
  readonly expected: Expected;
  /**
   * What a proxy in front may make of it. `refused`: any 4xx, 5xx or end of its own, the default. `tamed`: it may also make an
   * acceptable request of it. `skip`: it waits for longer than a test can, or never passes such a thing on.
   */
  readonly proxy?: 'refused' | 'tamed' | 'skip';
  /** Needs the short timeouts of the test's target. */
  readonly isSlow?: true;
}

export interface Target {
  readonly host: string;
  readonly port: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** What a client saw. */
export interface Outcome {
  readonly answers: readonly Answer[];
  readonly isClosed: boolean;
  /** From the last step on. */
  readonly waitedMs: number;
}

const headEnd = '\r\n\r\n';

/** Does the steps of `httpCase`, then waits for the end of the connection or for one answer and `quietMs` of silence. */
export async function runCase(target: Target, httpCase: HttpCase, timeoutMs = 2_000): Promise<Outcome> {
  const socket = connect(target.port, target.host);
  const chunks: Buffer[] = [];
  const state = { isClosed: false, heardAtMs: 0 };
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    state.heardAtMs = performance.now();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => void (state.isClosed = true));
  socket.on('end', () => void (state.isClosed = true));
  await once(socket, 'connect');
  for (const step of httpCase.steps) await take(socket, step, state);
  const startedMs = performance.now();
  const text = (): string => Buffer.concat(chunks).toString('latin1');
  const isOver = (): boolean => {
    const nowMs = performance.now();
    const isQuiet = answersIn(text()).length > 0 && nowMs - state.heardAtMs > quietMs;
    const isLast = httpCase.expected.closes ?? /^connection: close\r$/im.test(text());
    return state.isClosed || (isQuiet && !isLast) || nowMs - startedMs > timeoutMs;
  };
  while (!isOver()) await sleep(5);
  const waitedMs = performance.now() - startedMs;
  socket.destroy();
  return { answers: answersIn(text()), isClosed: state.isClosed, waitedMs };
}

const quietMs = 80;

async function take(socket: Socket, step: Step, state: { readonly isClosed: boolean }): Promise<void> {
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

/** Every answer but 100 Continue; their bodies have a length or none. */
function answersIn(text: string): Answer[] {
  const answers: Answer[] = [];
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
    if (status !== 100) answers.push({ status, headers, body: rest.slice(bodyAt, bodyEnd) });
    rest = rest.slice(bodyEnd);
  }
  return answers;
}

/** What is wrong with an outcome; undefined when it is as expected. */
export function problemOf(
  httpCase: HttpCase,
  outcome: Outcome,
  through: 'direct' | 'proxy' = 'direct',
): string | undefined {
  return through === 'proxy' ? problemBehindProxy(httpCase, outcome) : problemOfAnswer(httpCase.expected, outcome);
}

function problemOfAnswer({ status, error, closes }: Expected, { answers, isClosed }: Outcome): string | undefined {
  const [first, ...others] = answers;
  if (first === undefined) return `no answer, ${isClosed ? 'closed' : 'silence'}`;
  if (first.status !== status) return `status ${first.status} instead of ${status}`;
  if (closes && !isClosed) return 'the connection stays open';
  if (error === undefined) return undefined;
  if (!first.body.includes(`"error":"${error}"`)) return `not ${error}: ${first.body.slice(0, 120)}`;
  return others.length === 0 ? undefined : `${others.length} more answers after the refusal`;
}

function problemBehindProxy({ proxy, expected }: HttpCase, { answers, isClosed }: Outcome): string | undefined {
  const [first] = answers;
  if (first === undefined) return isClosed ? undefined : 'silence';
  const mayPass = proxy === 'tamed' || expected.status < 400;
  return mayPass || first.status >= 400 ? undefined : `accepted with ${first.status}`;
}
