import type { StreamEvent } from '../api/methods.ts';
declare const nsid = "blue.catbird.mls.subscribeConvoEvents";
type EventName = StreamEvent['$type'] extends infer Type ? Type extends `${typeof nsid}#${infer Name}` ? Name : never : never;
/** The event with this name, for example `messageEvent`. */
export type EventOf<Name extends EventName> = Extract<StreamEvent, {
    readonly $type: `${typeof nsid}#${Name}`;
}>;
/** Whether `event` is the event with this name. */
export declare function isEvent<Name extends EventName>(event: StreamEvent, name: Name): event is EventOf<Name>;
/** The service ended the stream with an error, and another connection with the same cursor cannot help. */
export declare class StreamError extends Error {
    readonly name = "StreamError";
    /** Name of the error, for example `JwtRevoked`. */
    readonly error: string;
    constructor(error: string, message: string);
}
/** A frame that does not follow the contract. */
export declare class FrameError extends Error {
    readonly name = "FrameError";
}
/** The notice with which every stream begins; it has the cursor of the start. */
export declare function isOpening(event: StreamEvent): boolean;
/**
 * The body of a frame as an event.
 * @throws FrameError when it is not an object with a type and a cursor.
 */
export declare function eventOf(body: unknown): StreamEvent;
export {};
