/** Standard padded base64. */
export declare function encodeBase64(bytes: Uint8Array): string;
/**
 * Decodes standard base64, with or without padding.
 * @throws DOMException InvalidCharacterError when `text` is anything else.
 */
export declare function decodeBase64(text: string): Uint8Array<ArrayBuffer>;
/** Lower-case hex. */
export declare function encodeHex(bytes: Uint8Array): string;
/** Writes JSON in which a `Uint8Array` is `{"$bytes": base64}` (atproto data model). */
export declare function stringifyJson(value: unknown): string;
/**
 * Reads JSON in which `{"$bytes": base64}` is a `Uint8Array` (atproto data model).
 * @throws SyntaxError when `text` is not JSON.
 */
export declare function parseJson(text: string): unknown;
/** Whether two values have the same bytes; `a` may be absent. */
export declare function areEqual(a: Uint8Array | undefined, b: Uint8Array): boolean;
