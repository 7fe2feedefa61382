import type { IncomingMessage, ServerResponse } from 'node:http';
import type { PlainAnswer } from '#edge/plain-answer.ts';
import { newRequestId } from '#platform/ids.ts';
import type { Admission } from './admission.ts';
import { generalErrors } from './general-error.ts';
import { jsonType, statuses } from './respond.ts';

const body = JSON.stringify({ error: 'ServiceUnavailable', message: generalErrors.ServiceUnavailable });
const sizeBytes = Buffer.byteLength(body);

/** A body of this size is cheaper to read to its end than a new connection. */
const drainedSizeBytesMax = 65_536;
const prefix = '/xrpc/';
const healthPath = '/xrpc/_health';

/**
 * Refuses a request for which there is no place before anything has been made of it, since under overload most of the server's
 * work is refusing. Leaves alone what is never refused, and what `overloadAnswer` refuses later, because it takes more: requests of
 * pages, and such whose body is long or comes in chunks.
 * @returns whether it has answered.
 */
export function shedRequest(admission: Admission, incoming: IncomingMessage, outgoing: ServerResponse): boolean {
  const { url = '', headers } = incoming;
  if (!url.startsWith(prefix) || url.startsWith(healthPath) || isLong(incoming) || headers.origin !== undefined)
    return false;
  if (admission.hasRoom()) return false;
  outgoing.writeHead(statuses.ServiceUnavailable, { ...overloadHeaders(admission), 'Content-Length': sizeBytes });
  outgoing.end(incoming.method === 'HEAD' ? undefined : body);
  return true;
}

/** The refusal of a request that the server has no place for; of the request it looks at nothing but the size. */
export function overloadAnswer(admission: Admission, request: IncomingMessage): PlainAnswer {
  const headers = overloadHeaders(admission);
  if (isLong(request)) headers['Connection'] = 'close';
  return { status: statuses.ServiceUnavailable, headers, body };
}

function overloadHeaders(admission: Admission): Record<string, string> {
  return {
    'Content-Type': jsonType,
    'X-Request-Id': newRequestId(),
    'Retry-After': String(admission.nextRetryAfterSeconds()),
  };
}

function isLong({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > drainedSizeBytesMax;
}
