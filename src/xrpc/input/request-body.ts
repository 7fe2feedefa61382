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

/** JSON has one encoding and no parameters (RFC 8259 section 8.1); clients name it all the same. */
const mediaType = /^application\/json\s*(?:;\s*charset=(?:utf-8|"utf-8")\s*)?;?\s*$/i;

/**
 * The JSON body of a request, read no further than `sizeBytesMax`.
 * @throws AppError UnsupportedMediaType for anything but plain JSON; PayloadTooLarge, announced or not; InvalidRequest for a
 * body that is not JSON, is too deep or ends early.
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

/** @throws AppError PayloadTooLarge when a body is announced that is larger than `sizeBytesMax`. */
export function refuseLargeBody(request: IncomingMessage, sizeBytesMax: number): void {
  if (Number(request.headers['content-length'] ?? 0) > sizeBytesMax) throw generalError('PayloadTooLarge');
}

/** By events: iterating over a request takes longer than everything else that is done with a small body. */
async function readAll(request: IncomingMessage, sizeBytesMax: number): Promise<Buffer> {
  refuseLargeBody(request, sizeBytesMax);
  if (request.destroyed) throw requestError('bodyEndsEarly');
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  return new Promise((resolve, reject) => {
    const broken = (): void => end(() => reject(requestError('bodyEndsEarly')));
    const whole = (): void => end(() => resolve(Buffer.concat(chunks, sizeBytes)));
    function take(chunk: Buffer): void {
      sizeBytes += chunk.length;
      chunks.push(chunk);
      if (sizeBytes <= sizeBytesMax) return;
      request.pause();
      end(() => reject(generalError('PayloadTooLarge')));
    }
    function end(settle: () => void): void {
      request.off('data', take).off('end', whole).off('error', broken).off('close', broken);
      settle();
    }
    request.on('data', take).on('end', whole).on('error', broken).on('close', broken);
  });
}
