import type { IncomingMessage } from 'node:http';
import { limits } from '#platform/limits.ts';
import { parseJson } from './json-text.ts';
import { generalError } from '../response/general-error.ts';
import { requestError } from './request-problems.ts';

const bounds = {
  depthMax: limits.jsonDepthMax,
  valuesMax: limits.jsonValuesMax,
  keyLengthMax: limits.jsonKeyLengthMax,
};

/** Accepts a charset, because clients send one although JSON is always UTF-8 (RFC 8259 section 8.1). */
const mediaType = /^application\/json\s*(?:;\s*charset=(?:utf-8|"utf-8")\s*)?;?\s*$/i;

/**
 * Reads the JSON body of a request, and stops reading after `sizeBytesMax`. The result is no promise when the whole
 * body has arrived.
 * @throws AppError UnsupportedMediaType for another content type or an encoding, PayloadTooLarge for a body over
 * `sizeBytesMax`, InvalidRequest for a body that is not JSON, is too deep or ends early.
 */
export function readJsonBody(request: IncomingMessage, sizeBytesMax: number): unknown {
  const { headers } = request;
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') throw generalError('UnsupportedMediaType');
  if (!mediaType.test(headers['content-type'] ?? '')) throw generalError('UnsupportedMediaType');
  refuseLargeBody(request, sizeBytesMax);
  if (request.destroyed) throw requestError('bodyEndsEarly');
  return request.complete ? parsed(arrivedBody(request, sizeBytesMax)) : readAll(request, sizeBytesMax).then(parsed);
}

function parsed(body: Buffer): unknown {
  const result = parseJson(body, bounds);
  if ('problem' in result) throw requestError(result.problem);
  return result.value;
}

/** Takes a body of which every byte is in memory, which costs less than listening for its parts. */
function arrivedBody(request: IncomingMessage, sizeBytesMax: number): Buffer {
  // Node types a part of a stream as any; without `setEncoding` it is a Buffer, and null when the body is empty.
  const body = (request.read() as Buffer | null) ?? Buffer.alloc(0);
  if (body.length > sizeBytesMax) throw generalError('PayloadTooLarge');
  return body;
}

/**
 * Checks the size in the request headers before the body is read.
 * @throws AppError PayloadTooLarge when Content-Length is larger than `sizeBytesMax`.
 */
export function refuseLargeBody(request: IncomingMessage, sizeBytesMax: number): void {
  if (Number(request.headers['content-length'] ?? 0) > sizeBytesMax) throw generalError('PayloadTooLarge');
}

/** Reads the body by events, because iterating over a request costs more than all other work on a small body. */
async function readAll(request: IncomingMessage, sizeBytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  return new Promise((resolve, reject) => {
    const fail = (): void => end(() => reject(requestError('bodyEndsEarly')));
    const succeed = (): void => end(() => resolve(Buffer.concat(chunks, sizeBytes)));
    function append(chunk: Buffer): void {
      sizeBytes += chunk.length;
      chunks.push(chunk);
      if (sizeBytes <= sizeBytesMax) return;
      request.pause();
      end(() => reject(generalError('PayloadTooLarge')));
    }
    function end(resolveOrReject: () => void): void {
      request.off('data', append).off('end', succeed).off('error', fail).off('close', fail);
      resolveOrReject();
    }
    request.on('data', append).on('end', succeed).on('error', fail).on('close', fail);
  });
}
