import { AppError } from '#platform/errors.ts';
import { limits } from '#platform/limits.ts';

import { ByteReader } from '../encoding/byte-reader.ts';
import { type CipherSuite, cipherSuite } from '../cipher-suites.ts';
import { type KeyPackageStructure, readKeyPackageStructure } from './key-package-structure.ts';
import { refHash, signContent } from '../encoding/labelled.ts';
import type { Extension, Lifetime } from './leaf-node.ts';
import { verifyLeafSignatures } from './leaf-signature.ts';
import { MlsFormatError } from '../encoding/mls-format-error.ts';
import { readWrappedOrBare, WIRE_FORMAT } from '../encoding/wrapped-structure.ts';

/**
 * The `last_resort` extension of draft-ietf-mls-extensions up to version 05. OpenMLS, mls-rs and Catbird's clients use
 * it.
 */
const EXTENSION_LAST_RESORT = 0x000a;
/** The `app_data_dictionary` extension of draft-ietf-mls-extensions from version 06 on. */
const EXTENSION_APP_DATA_DICTIONARY = 0x0006;
/** The component `last_resort_key_package` in the registry of draft-ietf-mls-extensions. */
const COMPONENT_LAST_RESORT_KEY_PACKAGE = 0x0004;

const CLOCK_SKEW_MS_MAX = 3_600_000;

export interface ExpectedKeyPackage {
  /** Wire number of the suite that the publisher's request names. */
  readonly cipherSuite: number;
  /** The publisher's bare DID, without a device part. */
  readonly identity: string;
  readonly nowMs: number;
  /** A lifetime that ends later than `nowMs + lifetimeMsMax` is shortened to that time. */
  readonly lifetimeMsMax: number;
}

export interface CheckedKeyPackage {
  /** The KeyPackage without the MLSMessage header. A view on the input. */
  readonly keyPackage: Uint8Array;
  /** The KeyPackageRef (RFC 9420 section 5.2). */
  readonly ref: Uint8Array;
  readonly cipherSuite: number;
  /** The raw signature key of the leaf. A view on the input. */
  readonly signatureKey: Uint8Array;
  /** True if the client allows repeated use of this package when no other one is available. */
  readonly lastResort: boolean;
  /** Milliseconds since the Unix epoch, at most `nowMs + lifetimeMsMax`. */
  readonly notAfterMs: number;
}

function invalid(message: string): AppError {
  return new AppError('InvalidKeyPackage', message);
}

/**
 * Returns whether an AppDataDictionary (draft-ietf-mls-extensions-08) contains the last-resort component. The
 * dictionary is `ComponentData component_data<V>`, and each item is a uint16 id and opaque data.
 */
function dictionaryHasLastResort(data: Uint8Array): boolean {
  const reader = new ByteReader(data);
  let found = false;
  reader.vector(() => {
    if (reader.uint16() === COMPONENT_LAST_RESORT_KEY_PACKAGE) found = true;
    reader.skipOpaque();
  });
  reader.expectEnd();
  return found;
}

function marksLastResort({ type, data }: Extension): boolean {
  return type === EXTENSION_LAST_RESORT || (type === EXTENSION_APP_DATA_DICTIONARY && dictionaryHasLastResort(data));
}

interface ParsedKeyPackage {
  readonly structure: KeyPackageStructure;
  readonly lastResort: boolean;
}

function readBody(reader: ByteReader): ParsedKeyPackage {
  let lastResort = false;
  const structure = readKeyPackageStructure(reader, (extension) => {
    if (marksLastResort(extension)) lastResort = true;
  });
  return { structure, lastResort };
}

function parse(bytes: Uint8Array): ParsedKeyPackage & { keyPackage: Uint8Array } {
  if (bytes.length > limits.keyPackageSizeBytesMax)
    throw invalid('The key package is too large: it has more than 49152 bytes. Make one with fewer extensions.');
  try {
    const { value, bare } = readWrappedOrBare(bytes, { wireFormat: WIRE_FORMAT.keyPackage, readBody });
    return { ...value, keyPackage: bare };
  } catch (error) {
    if (!(error instanceof MlsFormatError)) throw error;
    throw new AppError(
      'InvalidKeyPackage',
      `The key package cannot be read. ${error.message} Send a bare KeyPackage or one in an MLSMessage, in base64.`,
      {},
      error,
    );
  }
}

function checkSuite(actual: number, expected: number): CipherSuite {
  if (actual !== expected) {
    throw new AppError(
      'InvalidCipherSuite',
      'The key package has another cipher suite than the call names. Name the one in the bytes.',
    );
  }
  const suite = cipherSuite(actual);
  if (suite === undefined) {
    throw new AppError(
      'InvalidCipherSuite',
      'The service cannot check key packages of this cipher suite. Use one that the lexicon lists.',
    );
  }
  return suite;
}

/**
 * Returns the end of the lifetime in milliseconds. Shortens a late end instead of refusing it, because the default
 * lifetime of ts-mls has no end.
 */
function clampNotAfter(lifetime: Lifetime | undefined, nowMs: number, lifetimeMsMax: number): number {
  if (lifetime === undefined)
    throw invalid('The key package has no lifetime. Make one with a lifetime (RFC 9420 section 7.2).');
  const { notBeforeSeconds, notAfterSeconds } = lifetime;
  if (notBeforeSeconds * 1000n > BigInt(nowMs + CLOCK_SKEW_MS_MAX)) {
    throw invalid('The key package is not valid yet; check the clock of the device.');
  }
  const notAfterMs = notAfterSeconds * 1000n;
  if (notAfterMs <= BigInt(nowMs) || notAfterSeconds < notBeforeSeconds) {
    throw invalid('The key package has expired; publish a fresh one.');
  }
  const latestMs = nowMs + lifetimeMsMax;
  return notAfterMs < BigInt(latestMs) ? Number(notAfterMs) : latestMs;
}

function checkIdentity(structure: KeyPackageStructure, identity: string): void {
  const { basicIdentity } = structure.leafNode;
  if (basicIdentity === undefined)
    throw invalid('The key package needs a Basic credential. Make one whose identity is your DID.');
  if (Buffer.compare(basicIdentity, Buffer.from(identity)) !== 0) {
    throw invalid(
      'The credential of the key package must be exactly your DID, without a device part. Make one with that identity.',
    );
  }
}

async function checkSignatures(structure: KeyPackageStructure, suite: CipherSuite): Promise<void> {
  const { leafNode } = structure;
  const areValid = await verifyLeafSignatures(suite.signature, leafNode.signatureKey, [
    { content: signContent('LeafNodeTBS', leafNode.signedBytes), signature: leafNode.signature },
    { content: signContent('KeyPackageTBS', structure.signedBytes), signature: structure.signature },
  ]);
  if (!areValid)
    throw invalid('A signature of the key package is not valid. Make a new one with the signature key in its leaf.');
}

/**
 * Checks a KeyPackage, bare or in an MLSMessage, as RFC 9420 sections 7.3 and 10.1 require. Checks the exact length,
 * the version, the suite, the lifetime and both signatures. The Basic credential must equal `identity`, and the init
 * key must differ from the encryption key.
 * @throws AppError `InvalidKeyPackage`, or `InvalidCipherSuite`.
 */
export async function checkKeyPackage(bytes: Uint8Array, expected: ExpectedKeyPackage): Promise<CheckedKeyPackage> {
  const { keyPackage, structure, lastResort } = parse(bytes);
  const suite = checkSuite(structure.cipherSuite, expected.cipherSuite);
  checkIdentity(structure, expected.identity);
  const notAfterMs = clampNotAfter(structure.leafNode.lifetime, expected.nowMs, expected.lifetimeMsMax);
  if (Buffer.compare(structure.initKey, structure.leafNode.encryptionKey) === 0) {
    throw invalid('The key package uses one key as init key and as encryption key. Make one with two keys.');
  }
  await checkSignatures(structure, suite);
  return {
    keyPackage,
    ref: refHash('MLS 1.0 KeyPackage Reference', keyPackage, suite.hash),
    cipherSuite: structure.cipherSuite,
    signatureKey: structure.leafNode.signatureKey,
    lastResort,
    notAfterMs,
  };
}
