import type { IncomingMessage } from 'node:http';
import type { HttpResponse } from '#edge/exchange.ts';
import { newRequestId } from '#platform/ids.ts';
import { generalErrors } from '../response/general-error.ts';
import { jsonType } from '../response/response-headers.ts';
import { statuses } from '../response/statuses.ts';
import type { Admission } from './admission.ts';

const body = JSON.stringify({ error: 'ServiceUnavailable', message: generalErrors.ServiceUnavailable });

/** A body of this size costs less to read than a new connection costs to open. */
const discardedSizeBytesMax = 65_536;

/** The response to a request without a free slot. Closes the connection of a long body or one of unknown length. */
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
