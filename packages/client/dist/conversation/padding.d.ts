/** Largest message of the service. */
export declare const messageSizeBytesMax = 10485760;
/** The content does not fit the largest message of the service. */
export declare class MessageTooLargeError extends Error {
    readonly name = "MessageTooLargeError";
}
/** Smallest size bucket that holds `sizeBytes`: powers of two from 512 to 8,192, then multiples of 8,192. */
export declare function bucketSizeBytes(sizeBytes: number): number;
/**
 * Pads an MLSMessage to a size bucket: big-endian length in 4 bytes, the message, zeros.
 * @throws MessageTooLargeError
 */
export declare function pad(message: Uint8Array): Uint8Array;
/** The MLSMessage in a padded message, or `bytes` itself if it is one: an MLSMessage begins with version 1 and a wire format up to 5. */
export declare function unpad(bytes: Uint8Array): Uint8Array;
