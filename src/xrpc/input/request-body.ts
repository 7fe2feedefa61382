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
 * Reads the JSON body of a request, and stops reading after `sizeBytesMax`.
 * @throws AppError UnsupportedMediaType for another content type or an encoding, PayloadTooLarge for a body over
 * `sizeBytesMax`, InvalidRequest for a body that is not JSON, is too deep or ends early.
 */
export async function readJsonBody(request: IncomingMessage, sizeBytesMax: number): Promise<unknown> {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') throw generalError('UnsupportedMediaType');
  if (!mediaType.test(request.headers['content-type'] ?? '')) throw generalError('UnsupportedMediaType');
  const body = await readAll(request, sizeBytesMax);
  const parsed = parseJson(body, bounds);
  if ('problem' in parsed) throw requestError(parsed.problem);
  return parsed.value;
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
  refuseLargeBody(request, sizeBytesMax);
  if (request.destroyed) throw requestError('bodyEndsEarly');
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
