import type { IncomingMessage } from 'node:http';
import type { HttpResponse } from '#edge/exchange.ts';
import { newRequestId } from '#platform/ids.ts';
import { generalErrors } from '../response/general-error.ts';
import { jsonType } from '../response/response-headers.ts';
import { statuses } from '../response/statuses.ts';
import type { Admission } from './admission.ts';

const body = JSON.stringify({ error: 'ServiceUnavailable', message: generalErrors.ServiceUnavailable });

/** Up to this size, reading a body costs less than opening a new connection. */
const discardedSizeBytesMax = 65_536;

/**
 * Returns the response to a request for which no slot is free. The response closes the connection if the body is long
 * or of unknown length.
 */
export function overloadResponse(admission: Admission, { headers: sent }: IncomingMessage): HttpResponse {
  const isLong = sent['transfer-encoding'] !== undefined || Number(sent['content-length'] ?? 0) > discardedSizeBytesMax;
  const headers = {
    'Content-Type': jsonType,
    'X-Request-Id': newRequestId(),
    'Retry-After': String(admission.nextRetryAfterSeconds()),
    ...(isLong ? { Connection: 'close' } : {}),
  };
  return { status: statuses.ServiceUnavailable, headers, body };
}
