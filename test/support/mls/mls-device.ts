import {
  type Capabilities,
  type CiphersuiteImpl,
  type CiphersuiteName,
  type ClientConfig,
  ciphersuites,
  type Credential,
  type Extension,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  type KeyPackage,
  type Lifetime,
  type PrivateKeyPackage,
} from 'ts-mls';
import { defaultClientConfig } from 'ts-mls/clientConfig.js';
import { encodeKeyPackage, makeKeyPackageRef } from 'ts-mls/keyPackage.js';

import { stringifyJson } from '#client/api/bytes.ts';
import type { DeviceIdentity, MlsEngine, OwnKeyPackage as StoredKeyPackage } from '#client/mls/mls-engine.ts';
import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';
import { systemClock } from '#platform/clock.ts';

/** The KeyPackage extension that marks a last-resort package (draft-ietf-mls-extensions-05). */
const EXTENSION_LAST_RESORT = 0x000a;
/** The extension with components, among them the later form of the last-resort mark (draft-ietf-mls-extensions-08). */
const EXTENSION_APP_DATA_DICTIONARY = 0x0006;
/** `component_data<V>` with one entry: component 0x0004 (last_resort_key_package) with no data. */
const LAST_RESORT_DICTIONARY = Uint8Array.of(3, 0, 4, 0);

const SECONDS_PER_DAY = 86_400n;

/** A key package and its private part. */
export interface OwnKeyPackage {
  readonly publicPackage: KeyPackage;
  readonly privatePackage: PrivateKeyPackage;
}

/** The published part of a key package. */
export interface PublishedKeyPackage {
  /** The bare KeyPackage. */
  readonly bytes: Uint8Array;
  /** KeyPackageRef in lower-case hex. */
  readonly ref: string;
}

export interface KeyPackageOptions {
  /** `extension` and `component` are the two forms of the last-resort mark; default: none. */
  readonly lastResort?: 'extension' | 'component';
  /** Default: from an hour ago for 30 days. */
  readonly lifetime?: Lifetime;
  /** Default: the device's DID; another value makes a package that the service must refuse. */
  readonly identity?: string;
}

/** Returns a lifetime of `days` days around `nowMs`, in seconds. */
export function lifetimeAround(nowMs: number, days = 30): Lifetime {
  const nowSeconds = BigInt(Math.floor(nowMs / 1000));
  return { notBefore: nowSeconds - 3_600n, notAfter: nowSeconds + BigInt(days) * SECONDS_PER_DAY };
}

function lastResortExtensions(form: KeyPackageOptions['lastResort']): Extension[] {
  if (form === 'extension') return [{ extensionType: EXTENSION_LAST_RESORT, extensionData: new Uint8Array() }];
  if (form === 'component') {
    return [{ extensionType: EXTENSION_APP_DATA_DICTIONARY, extensionData: LAST_RESORT_DICTIONARY }];
  }
  return [];
}

function isSuiteName(name: string): name is CiphersuiteName {
  return Object.hasOwn(ciphersuites, name);
}

interface SignatureKeys {
  readonly signKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** One device of a person: a DID, a signature key, and its key packages. */
export class MlsDevice {
  readonly did: string;
  readonly suite: CiphersuiteImpl;
  /** The engine of the client package with this suite. */
  readonly engine: MlsEngine;
  readonly clientConfig: ClientConfig;
  readonly #signatureKeys: SignatureKeys;
  readonly #keyPackages = new Map<string, OwnKeyPackage>();

  private constructor(did: string, suite: CiphersuiteImpl, keys: SignatureKeys, engine: MlsEngine) {
    this.did = did;
    this.suite = suite;
    this.#signatureKeys = keys;
    this.engine = engine;
    this.clientConfig = { ...defaultClientConfig, paddingConfig: { kind: 'padUntilLength', padUntilLength: 0 } };
  }

  /** @param cipherSuiteName a suite of ts-mls, by its name there. */
  static async create(did: string, cipherSuiteName: string): Promise<MlsDevice> {
    if (!isSuiteName(cipherSuiteName)) throw new TypeError('ts-mls does not support this cipher suite');
    const suite = await getCiphersuiteImpl(getCiphersuiteFromName(cipherSuiteName));
    const engine = await createTsMlsEngine({ cipherSuite: cipherSuiteName });
    return new MlsDevice(did, suite, await suite.signature.keygen(), engine);
  }

  /** The raw public key that `registerDevice` takes. */
  get signaturePublicKey(): Uint8Array {
    return this.#signatureKeys.publicKey;
  }

  /** The device as the engine takes it. */
  get identity(): DeviceIdentity {
    return { did: this.did, signaturePublicKey: this.signaturePublicKey, secret: secretOf(this.#signatureKeys) };
  }

  /** Makes a key package, stores its private part, and returns the published part. */
  async createKeyPackage(options: KeyPackageOptions = {}): Promise<PublishedKeyPackage> {
    const own = await this.makeKeyPackage(options);
    const ref = await makeKeyPackageRef(own.publicPackage, this.suite.hash);
    const refHex = Buffer.from(ref).toString('hex');
    this.#keyPackages.set(refHex, own);
    return { bytes: encodeKeyPackage(own.publicPackage), ref: refHex };
  }

  /** Makes a key package without storing it, for a new group or an external join. */
  makeKeyPackage(options: KeyPackageOptions = {}): Promise<OwnKeyPackage> {
    const credential: Credential = {
      credentialType: 'basic',
      identity: new TextEncoder().encode(options.identity ?? this.did),
    };
    const capabilities: Capabilities = {
      versions: ['mls10'],
      ciphersuites: [this.suite.name],
      extensions: [EXTENSION_APP_DATA_DICTIONARY, EXTENSION_LAST_RESORT],
      proposals: [],
      credentials: ['basic'],
    };
    return generateKeyPackageWithKey(
      credential,
      capabilities,
      options.lifetime ?? lifetimeAround(systemClock.nowMs()),
      lastResortExtensions(options.lastResort),
      this.#signatureKeys,
      this.suite,
    );
  }

  /** Returns the stored key package with this KeyPackageRef (lower-case hex). */
  keyPackage(refHex: string): OwnKeyPackage | undefined {
    return this.#keyPackages.get(refHex);
  }

  /** Returns the stored key package with this KeyPackageRef as the engine takes it. */
  storedKeyPackage(ref: string): StoredKeyPackage | undefined {
    const own = this.keyPackage(ref);
    if (own === undefined) return undefined;
    const keyPackage = encodeKeyPackage(own.publicPackage);
    const expiresAtMs = Number(own.publicPackage.leafNode.lifetime.notAfter) * 1_000;
    return { ref, keyPackage, secret: secretOf(own.privatePackage), isLastResort: false, expiresAtMs };
  }
}

/** Private keys in the form in which the engine stores them. */
function secretOf(keys: object): Uint8Array {
  return new TextEncoder().encode(stringifyJson(keys));
}
