import type { ServiceJwtClaims } from '#auth/service-jwt.ts';
import type { StreamEvent } from '#client/api/methods.ts';

/** One call of the client under test. Times are of the monotonic clock, in milliseconds. */
export interface CallRecord {
  /** Name without the namespace. */
  readonly method: string;
  readonly startedMs: number;
  /** Undefined when the token cannot be read. */
  readonly claims: ServiceJwtClaims | undefined;
  /** Parameters or body; `$bytes` are `Uint8Array`. */
  readonly request: Readonly<Record<string, unknown>>;
  /** What the client received; undefined: no response yet, or none at all. */
  outcome?: CallOutcome;
}

export interface CallOutcome {
  readonly endedMs: number;
  /** Undefined when the check has cut the connection. */
  readonly status: number | undefined;
  /** Name of the error in the response. */
  readonly error: string | undefined;
  readonly currentEpoch: number | undefined;
  readonly retryAfterSeconds: number | undefined;
  /** Whether the check made the response instead of the service. */
  readonly isInjected: boolean;
}

/** An event that the client was sent. */
export interface Delivery {
  readonly cursor: string;
  readonly atMs: number;
  readonly event: StreamEvent;
}

/** One connection for events that the client opened or tried to open. */
export interface StreamRecord {
  readonly transport: 'websocket' | 'server-sent events';
  readonly ticket: string | undefined;
  readonly cursor: string | undefined;
  readonly startedMs: number;
  isRefused: boolean;
  endedMs: number | undefined;
  /** All connections of the client share this list. */
  readonly deliveriesBefore: number;
}

/** A message that the client has answered. */
export interface AnsweredMessage {
  readonly convoId: string;
  readonly seq: number;
  readonly atMs: number;
}

/** Everything that the check has seen of one client. */
export interface ClientRecord {
  readonly did: string;
  readonly serviceDid: string;
  readonly calls: CallRecord[];
  readonly streams: StreamRecord[];
  readonly deliveries: Delivery[];
  readonly answered: AnsweredMessage[];
}

export function newClientRecord(did: string, serviceDid: string): ClientRecord {
  return { did, serviceDid, calls: [], streams: [], deliveries: [], answered: [] };
}

/** A text field of a request; empty where it is missing. */
export function textOf(call: CallRecord, field: string): string {
  const value = call.request[field];
  return typeof value === 'string' ? value : '';
}

/** Calls that are attempts of the same call: the same method for the same conversation. */
export function callKey(call: CallRecord): string {
  return `${call.method} ${textOf(call, 'convoId')}`;
}
