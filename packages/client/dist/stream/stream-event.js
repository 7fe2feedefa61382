const nsid = 'blue.catbird.mls.subscribeConvoEvents';
/** Whether `event` is the event with this name. */
export function isEvent(event, name) {
    return event.$type === `${nsid}#${name}`;
}
/** The service ended the stream with an error, and another connection with the same cursor cannot help. */
export class StreamError extends Error {
    name = 'StreamError';
    /** Name of the error, for example `JwtRevoked`. */
    error;
    constructor(error, message) {
        super(message);
        this.error = error;
    }
}
/** A frame that does not follow the contract. */
export class FrameError extends Error {
    name = 'FrameError';
}
/** The notice with which every stream begins; it has the cursor of the start. */
export function isOpening(event) {
    return isEvent(event, 'infoEvent') && event.code === 'streamOpened';
}
/**
 * The body of a frame as an event.
 * @throws FrameError when it is not an object with a type and a cursor.
 */
export function eventOf(body) {
    if (typeof body !== 'object' || body === null)
        throw new FrameError('the body of a frame is not an object');
    const { $type, cursor } = body;
    if (typeof $type !== 'string' || !$type.startsWith(`${nsid}#`) || typeof cursor !== 'string') {
        throw new FrameError('the body of a frame has no type or no cursor');
    }
    // The service sends the fields that the lexicon of this type has.
    return body;
}
