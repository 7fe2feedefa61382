import type { CiphersuiteName } from 'ts-mls';
import type { MlsEngine } from './mls-engine.ts';
export interface TsMlsEngineOptions {
    /** Default: `MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519`. */
    readonly cipherSuite?: CiphersuiteName;
    /** Default: 30. */
    readonly keyPackageLifetimeDays?: number;
}
/**
 * An engine on ts-mls 1.6.
 * @throws TypeError when ts-mls does not have the cipher suite.
 */
export declare function createTsMlsEngine(options?: TsMlsEngineOptions): Promise<MlsEngine>;
