import type { IncomingMessage } from 'node:http';
import { parseServiceJwt } from '#auth/service-jwt.ts';
import type { ServiceJwtClaims } from '#auth/service-jwt.ts';
import { parseJson } from '#client/api/bytes.ts';
import type { CallOutcome, CallRecord } from '../record.ts';

export const namespace = 'blue.catbird.mls';
const path = /^\/xrpc\/blue\.catbird\.mls\.(\w+)(?:\?|$)/;

/** Name of the called method without its namespace; undefined for other paths. */
export function methodOf(request: IncomingMessage): string | undefined {
  return path.exec(request.url ?? '')?.[1];
}

export function searchOf(request: IncomingMessage): URLSearchParams {
  return new URL(request.url ?? '/', 'http://service').searchParams;
}

export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A call as the check records it. */
export function readCall(method: string, request: IncomingMessage, body: Buffer): CallRecord {
  return {
    method,
    startedMs: performance.now(),
    claims: claimsOf(request),
    request: body.length > 0 ? objectOf(body.toString('utf8')) : Object.fromEntries(searchOf(request)),
  };
}

function claimsOf({ headers }: IncomingMessage): ServiceJwtClaims | undefined {
  try {
    return parseServiceJwt((headers.authorization ?? '').replace(/^Bearer /i, '')).claims;
  } catch {
    return undefined;
  }
}

/** What the client gets for a call. */
export function outcomeOf(response: Response, text: string, isInjected: boolean): CallOutcome {
  const { error, currentEpoch } = objectOf(text);
  const retryAfter = response.headers.get('retry-after');
  return {
    endedMs: performance.now(),
    status: response.status,
    error: typeof error === 'string' ? error : undefined,
    currentEpoch: typeof currentEpoch === 'number' ? currentEpoch : undefined,
    retryAfterSeconds: retryAfter === null ? undefined : Number(retryAfter),
    isInjected,
  };
}

export function noOutcome(): CallOutcome {
  const none = { status: undefined, error: undefined, currentEpoch: undefined, retryAfterSeconds: undefined };
  return { endedMs: performance.now(), ...none, isInjected: true };
}

/** The object in a JSON text; an empty one where there is none. */
export function objectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value = parseJson(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
