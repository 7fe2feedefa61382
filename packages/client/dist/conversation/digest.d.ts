/** SHA-256. */
export declare function sha256(bytes: Uint8Array): Promise<Uint8Array>;
