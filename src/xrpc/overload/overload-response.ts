import type { IncomingMessage } from 'node:http';
import type { HttpResponse } from '#edge/exchange.ts';
import { newRequestId } from '#platform/ids.ts';
import { generalErrors } from '../response/general-error.ts';
import { jsonType } from '../response/response-headers.ts';
import { statuses } from '../response/statuses.ts';
import type { Admission } from './admission.ts';

const body = JSON.stringify({ error: 'ServiceUnavailable', message: generalErrors.ServiceUnavailable });

/** Reading the rest of a body of this size costs less than a new connection. */
const discardedSizeBytesMax = 65_536;

/** The response to a request that finds no slot. Reads nothing of the request except the size of its body. */
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
