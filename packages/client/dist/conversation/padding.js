const prefixSizeBytes = 4;
const smallestBucketSizeBytes = 512;
const largeStepSizeBytes = 8_192;
/** Largest message of the service. */
export const messageSizeBytesMax = 10_485_760;
/** The content does not fit the largest message of the service. */
export class MessageTooLargeError extends Error {
    name = 'MessageTooLargeError';
}
/** Smallest size bucket that holds `sizeBytes`: powers of two from 512 to 8,192, then multiples of 8,192. */
export function bucketSizeBytes(sizeBytes) {
    if (sizeBytes > messageSizeBytesMax)
        throw new MessageTooLargeError('the message is larger than 10 MiB');
    let bucket = smallestBucketSizeBytes;
    while (bucket < sizeBytes)
        bucket = bucket < largeStepSizeBytes ? bucket * 2 : bucket + largeStepSizeBytes;
    return bucket;
}
/**
 * Pads an MLSMessage to a size bucket: big-endian length in 4 bytes, the message, zeros.
 * @throws MessageTooLargeError
 */
export function pad(message) {
    const padded = new Uint8Array(bucketSizeBytes(message.length + prefixSizeBytes));
    new DataView(padded.buffer).setUint32(0, message.length);
    padded.set(message, prefixSizeBytes);
    return padded;
}
/** The MLSMessage in a padded message, or `bytes` itself if it is one: an MLSMessage begins with version 1 and a wire format up to 5. */
export function unpad(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < prefixSizeBytes)
        return bytes;
    const isMessage = view.getUint16(0) === 1 && view.getUint16(2) >= 1 && view.getUint16(2) <= 5;
    const isPadded = bytes.length >= prefixSizeBytes + 4 && view.getUint16(4) === 1 && view.getUint16(6) <= 5;
    if (isMessage && !isPadded)
        return bytes;
    return bytes.subarray(prefixSizeBytes, prefixSizeBytes + view.getUint32(0));
}
