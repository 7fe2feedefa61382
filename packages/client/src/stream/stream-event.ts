import type { StreamEvent } from '../api/methods.ts';

const nsid = 'blue.catbird.mls.subscribeConvoEvents';

type EventName = StreamEvent['$type'] extends infer Type
  ? Type extends `${typeof nsid}#${infer Name}`
    ? Name
    : never
  : never;

/** The event with this name, for example `messageEvent`. */
export type EventOf<Name extends EventName> = Extract<StreamEvent, { readonly $type: `${typeof nsid}#${Name}` }>;

/** Whether `event` is the event with this name. */
export function isEvent<Name extends EventName>(event: StreamEvent, name: Name): event is EventOf<Name> {
  return event.$type === `${nsid}#${name}`;
}

/** The service ended the stream with an error, and another connection with the same cursor cannot help. */
export class StreamError extends Error {
  override readonly name = 'StreamError';
  /** Name of the error, for example `JwtRevoked`. */
  readonly error: string;

  constructor(error: string, message: string) {
    super(message);
    this.error = error;
  }
}

/** A frame that does not follow the contract. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/** The notice with which every stream begins; it has the cursor of the start. */
export function isOpening(event: StreamEvent): boolean {
  return isEvent(event, 'infoEvent') && event.code === 'streamOpened';
}

/**
 * The body of a frame as an event.
 * @throws FrameError when it is not an object with a type and a cursor.
 */
export function eventOf(body: unknown): StreamEvent {
  if (typeof body !== 'object' || body === null) throw new FrameError('the body of a frame is not an object');
  const { $type, cursor }: { $type?: unknown; cursor?: unknown } = body;
  if (typeof $type !== 'string' || !$type.startsWith(`${nsid}#`) || typeof cursor !== 'string') {
    throw new FrameError('the body of a frame has no type or no cursor');
  }
  // The service sends the fields that the lexicon of this type has.
  return body as StreamEvent;
}
