import type { IncomingMessage } from 'node:http';
import { newRequestId } from '#platform/ids.ts';
import type { Admission } from './admission.ts';
import { generalErrors } from './general-error.ts';
import { answerHeaders, statuses } from './respond.ts';

const body = JSON.stringify({ error: 'ServiceUnavailable', message: generalErrors.ServiceUnavailable });

/** A body of this size is cheaper to read to its end than a new connection. */
const drainedSizeBytesMax = 65_536;

/** The refusal of a request that the server has no place for; of the request it looks at nothing but the size. */
export function shedRequest(request: IncomingMessage, admission: Admission): Response {
  const headers: Record<string, string> = {
    ...answerHeaders,
    'X-Request-Id': newRequestId(),
    'Retry-After': String(admission.nextRetryAfterSeconds()),
  };
  if (isLong(request)) headers['Connection'] = 'close';
  return new Response(body, { status: statuses.ServiceUnavailable, headers });
}

function isLong({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > drainedSizeBytesMax;
}
