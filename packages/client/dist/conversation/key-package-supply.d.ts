import type { Context } from './context.ts';
/** Key packages of this device that others can claim. */
export interface KeyPackageSupply {
    /** Deletes from the service what this device cannot open, and publishes until there are enough. */
    replenish(): Promise<void>;
}
/** @param target how many one-time key packages others should be able to claim. */
export declare function createKeyPackageSupply(context: Context, target: number): KeyPackageSupply;
/** Before the end of the key package's own lifetime. */
export declare function expiryOf(): string;
