import { decodeFirst } from 'cborg';
import { eventOf, FrameError } from './stream-event.js';
const options = { rejectDuplicateMapKeys: true, strict: true };
/**
 * Reads one binary frame: two DAG-CBOR maps, header and body (atproto event stream encoding).
 * @throws FrameError when the bytes are anything else.
 */
export function readFrame(bytes) {
    let header;
    let body;
    try {
        let rest;
        [header, rest] = decodeFirst(bytes, options);
        [body, rest] = decodeFirst(rest, options);
        if (rest.length > 0)
            throw new FrameError('a frame has more than two maps');
    }
    catch (error) {
        throw error instanceof FrameError ? error : new FrameError('a frame is not DAG-CBOR', { cause: error });
    }
    if (typeof header !== 'object' || header === null)
        throw new FrameError('a frame has no header');
    const { op } = header;
    if (op === 1)
        return eventOf(body);
    if (op !== -1 || typeof body !== 'object' || body === null)
        throw new FrameError('a frame has an unknown header');
    const { error, message } = body;
    return { error: typeof error === 'string' ? error : 'Unknown', message: typeof message === 'string' ? message : '' };
}
