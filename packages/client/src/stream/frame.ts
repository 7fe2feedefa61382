import { decodeFirst } from 'cborg';
import type { StreamEvent } from '../api/methods.ts';
import { eventOf, FrameError } from './stream-event.ts';

/** An error frame of the service. */
export interface ErrorFrame {
  readonly error: string;
  readonly message: string;
}

const options = { rejectDuplicateMapKeys: true, strict: true };

/**
 * Reads one binary frame: two DAG-CBOR maps, header and body (atproto event stream encoding).
 * @throws FrameError when the bytes are anything else.
 */
export function readFrame(bytes: Uint8Array): StreamEvent | ErrorFrame {
  let header: unknown;
  let body: unknown;
  try {
    let rest: Uint8Array;
    [header, rest] = decodeFirst(bytes, options) as [unknown, Uint8Array];
    [body, rest] = decodeFirst(rest, options) as [unknown, Uint8Array];
    if (rest.length > 0) throw new FrameError('a frame has more than two maps');
  } catch (error) {
    throw error instanceof FrameError ? error : new FrameError('a frame is not DAG-CBOR', { cause: error });
  }
  if (typeof header !== 'object' || header === null) throw new FrameError('a frame has no header');
  const { op }: { op?: unknown } = header;
  if (op === 1) return eventOf(body);
  if (op !== -1 || typeof body !== 'object' || body === null) throw new FrameError('a frame has an unknown header');
  const { error, message }: { error?: unknown; message?: unknown } = body;
  return { error: typeof error === 'string' ? error : 'Unknown', message: typeof message === 'string' ? message : '' };
}
