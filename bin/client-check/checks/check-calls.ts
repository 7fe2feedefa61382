import { isMessageSizeBucket } from '#mls/encoding/padding-envelope.ts';
import { readCommit } from '#mls/messages/framing.ts';
import { decodeBase64 } from '#client/api/bytes.ts';
import { callKey, textOf } from '../record.ts';
import type { CallRecord, ClientRecord } from '../record.ts';
import type { Finding } from '../rules.ts';

/** A call that started this soon after a response may have been sent before the client had read the response. */
const inFlightMs = 100;
/** Timers may fire a little early. */
const timerInaccuracyMs = 20;
const attemptsPerSecondMax = 5;
const wrongRequestStatuses: ReadonlySet<number> = new Set([400, 405, 413, 415]);

/** Checks what the client sends, and how it repeats calls. */
export function checkCalls({ calls }: ClientRecord): Finding[] {
  return calls.flatMap((call, index) => {
    const later = calls.slice(index + 1);
    const earlier = calls.slice(0, index);
    const name = `Call ${index + 1}, ${call.method}`;
    return [
      ...form(call, name),
      ...early(call, later, name),
      ...epochOver(call, earlier, name),
      ...unchanged(call, earlier, name),
      ...sentAgain(call, earlier, name),
      ...backOff(call, earlier, name),
    ];
  });
}

function form(call: CallRecord, name: string): Finding[] {
  const { outcome } = call;
  const padding = call.method === 'sendMessage' ? paddingProblem(call) : undefined;
  if (padding !== undefined) return [{ rule: 'padding', seen: `${name}, ${padding}.` }];
  if (outcome?.isInjected !== false) return [];
  const { status = 0, error = '' } = outcome;
  if (error === 'IdempotencyKeyReused')
    return [{ rule: 'idempotency-key', seen: `${name}, has the idempotency key of another input.` }];
  const isUnknown = error === 'MethodNotImplemented' || error === 'UnknownMethod';
  if (!wrongRequestStatuses.has(status) && !isUnknown) return [];
  return [{ rule: 'valid-request', seen: `${name}, got ${status} ${error}.` }];
}

function paddingProblem({ request }: CallRecord): string | undefined {
  const { ciphertext, paddedSize } = request;
  if (!(ciphertext instanceof Uint8Array)) return undefined;
  if (!isMessageSizeBucket(ciphertext.length)) return `has a ciphertext of ${ciphertext.length} bytes`;
  return paddedSize === ciphertext.length
    ? undefined
    : `has paddedSize ${String(paddedSize)} and a ciphertext of ${ciphertext.length} bytes`;
}

/** Whether the same call is repeated before Retry-After is over. */
function early(call: CallRecord, later: readonly CallRecord[], name: string): Finding[] {
  const { outcome } = call;
  if (outcome?.retryAfterSeconds === undefined) return [];
  const waitMs = outcome.retryAfterSeconds * 1_000;
  const next = later.find((each) => callKey(each) === callKey(call) && each.startedMs > outcome.endedMs + inFlightMs);
  if (next === undefined) return [];
  const waitedMs = next.startedMs - outcome.endedMs;
  if (waitedMs > waitMs - timerInaccuracyMs) return [];
  const seen = `${name}, got Retry-After: ${outcome.retryAfterSeconds} and was repeated after ${Math.round(waitedMs)} ms.`;
  return [{ rule: 'retry-after', seen }];
}

/** Epoch of the message or commit that a call sends. */
function epochOf({ method, request }: CallRecord): number | undefined {
  if (method === 'sendMessage') return typeof request['epoch'] === 'number' ? request['epoch'] : undefined;
  const { commit } = request;
  try {
    if (commit instanceof Uint8Array) return readCommit(commit).epoch;
    return typeof commit === 'string' ? readCommit(decodeBase64(commit)).epoch : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the client knows from an earlier response that the epoch of this call is over. */
function epochOver(call: CallRecord, earlier: readonly CallRecord[], name: string): Finding[] {
  const epoch = epochOf(call);
  if (epoch === undefined) return [];
  const convoId = textOf(call, 'convoId');
  const isKnown = earlier.some(
    (each) =>
      each.outcome?.error === 'EpochMismatch' &&
      textOf(each, 'convoId') === convoId &&
      each.outcome.endedMs + inFlightMs < call.startedMs &&
      (each.outcome.currentEpoch ?? 0) > epoch,
  );
  return isKnown
    ? [{ rule: 'epoch-over', seen: `${name}, is of epoch ${epoch}, which the client knew to be over.` }]
    : [];
}

function unchanged(call: CallRecord, earlier: readonly CallRecord[], name: string): Finding[] {
  const { method, request } = call;
  if (method !== 'sendMessage') return [];
  const isChanged = earlier.some(
    (each) =>
      each.method === method &&
      textOf(each, 'msgId') === textOf(call, 'msgId') &&
      each.request['epoch'] === request['epoch'] &&
      !areEqual(each.request['ciphertext'], request['ciphertext']),
  );
  return isChanged
    ? [{ rule: 'message-unchanged', seen: `${name}, has the msgId of other bytes in the same epoch.` }]
    : [];
}

function sentAgain(call: CallRecord, earlier: readonly CallRecord[], name: string): Finding[] {
  const { method, request } = call;
  if (method !== 'sendMessage') return [];
  const isAgain = earlier.some(
    (each) =>
      each.method === method &&
      each.outcome?.status !== 400 &&
      textOf(each, 'msgId') !== textOf(call, 'msgId') &&
      areEqual(each.request['ciphertext'], request['ciphertext']),
  );
  return isAgain
    ? [{ rule: 'send-once', seen: `${name}, has the bytes of an earlier message and another msgId.` }]
    : [];
}

function areEqual(a: unknown, b: unknown): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0;
}

/** Whether the call is one attempt too many within a second. */
function backOff(call: CallRecord, earlier: readonly CallRecord[], name: string): Finding[] {
  const attempts = earlier.filter(
    (each) =>
      callKey(each) === callKey(call) &&
      each.startedMs > call.startedMs - 1_000 &&
      each.outcome !== undefined &&
      each.outcome.status === undefined,
  );
  if (attempts.length !== attemptsPerSecondMax) return [];
  return [{ rule: 'back-off', seen: `${name}, is attempt ${attempts.length + 1} within a second.` }];
}
