/** A queue between a socket, which cannot be paused in browsers, and a reader. */
export interface EventQueue<Value> extends AsyncIterable<Value> {
    readonly length: number;
    push(value: Value): void;
    /** Ends the queue: the reader gets what is in it, then the error if there is one. */
    end(error?: unknown): void;
}
/** An unbounded queue for one reader; its owner stops pushing when `length` is too large. */
export declare function createEventQueue<Value>(): EventQueue<Value>;
