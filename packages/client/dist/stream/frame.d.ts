import type { StreamEvent } from '../api/methods.ts';
/** An error frame of the service. */
export interface ErrorFrame {
    readonly error: string;
    readonly message: string;
}
/**
 * Reads one binary frame: two DAG-CBOR maps, header and body (atproto event stream encoding).
 * @throws FrameError when the bytes are anything else.
 */
export declare function readFrame(bytes: Uint8Array): StreamEvent | ErrorFrame;
