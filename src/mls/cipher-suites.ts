/** The hash function of a suite, by its name in node:crypto. */
export type SuiteHash = 'sha256' | 'sha384' | 'sha512';
export type SuiteSignature = 'ed25519' | 'ed448' | 'p256' | 'p384' | 'p521' | 'mldsa87';

export interface CipherSuite {
  readonly name: string;
  readonly number: number;
  readonly hash: SuiteHash;
  readonly signature: SuiteSignature;
}

function suite(number: number, name: string, hash: SuiteHash, signature: SuiteSignature): CipherSuite {
  return { number, name, hash, signature };
}

/**
 * Suites 1 to 7 are from RFC 9420 section 17.1. OpenMLS uses 77 (0x4d) for the lexicon's X-Wing suite, and ts-mls uses
 * 77 to 88 for its post-quantum suites. The two suites with number 77 have the same hash and signature, so the key
 * packages of both can be checked.
 */
const SUITES: readonly CipherSuite[] = [
  suite(1, 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519', 'sha256', 'ed25519'),
  suite(2, 'MLS_128_DHKEMP256_AES128GCM_SHA256_P256', 'sha256', 'p256'),
  suite(3, 'MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519', 'sha256', 'ed25519'),
  suite(4, 'MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448', 'sha512', 'ed448'),
  suite(5, 'MLS_256_DHKEMP521_AES256GCM_SHA512_P521', 'sha512', 'p521'),
  suite(6, 'MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448', 'sha512', 'ed448'),
  suite(7, 'MLS_256_DHKEMP384_AES256GCM_SHA384_P384', 'sha384', 'p384'),
  suite(77, 'MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519', 'sha256', 'ed25519'),
  suite(77, 'MLS_128_MLKEM512_AES128GCM_SHA256_Ed25519', 'sha256', 'ed25519'),
  suite(78, 'MLS_128_MLKEM512_CHACHA20POLY1305_SHA256_Ed25519', 'sha256', 'ed25519'),
  suite(79, 'MLS_256_MLKEM768_AES256GCM_SHA384_Ed25519', 'sha384', 'ed25519'),
  suite(80, 'MLS_256_MLKEM768_CHACHA20POLY1305_SHA384_Ed25519', 'sha384', 'ed25519'),
  suite(81, 'MLS_256_MLKEM1024_AES256GCM_SHA512_Ed25519', 'sha512', 'ed25519'),
  suite(82, 'MLS_256_MLKEM1024_CHACHA20POLY1305_SHA512_Ed25519', 'sha512', 'ed25519'),
  suite(83, 'MLS_256_XWING_AES256GCM_SHA512_Ed25519', 'sha512', 'ed25519'),
  suite(84, 'MLS_256_XWING_CHACHA20POLY1305_SHA512_Ed25519', 'sha512', 'ed25519'),
  suite(85, 'MLS_256_MLKEM1024_AES256GCM_SHA512_MLDSA87', 'sha512', 'mldsa87'),
  suite(86, 'MLS_256_MLKEM1024_CHACHA20POLY1305_SHA512_MLDSA87', 'sha512', 'mldsa87'),
  suite(87, 'MLS_256_XWING_AES256GCM_SHA512_MLDSA87', 'sha512', 'mldsa87'),
  suite(88, 'MLS_256_XWING_CHACHA20POLY1305_SHA512_MLDSA87', 'sha512', 'mldsa87'),
];

const BY_NAME = new Map(SUITES.map((entry) => [entry.name, entry]));
const BY_NUMBER = new Map(SUITES.toReversed().map((entry) => [entry.number, entry]));

/** Returns the wire number of a suite by its lexicon name, or undefined for an unknown name. */
export function cipherSuiteNumber(name: string): number | undefined {
  return BY_NAME.get(name)?.number;
}

/**
 * Returns the lexicon name of a suite by its wire number, or undefined for an unknown number. If two suites have the
 * number, it returns the name of the first one.
 */
export function cipherSuiteName(number: number): string | undefined {
  return BY_NUMBER.get(number)?.name;
}

/** Returns the suite with this wire number, or undefined for an unknown number. */
export function cipherSuite(number: number): CipherSuite | undefined {
  return BY_NUMBER.get(number);
}

const DIGEST_SIZE_BYTES: Readonly<Record<SuiteHash, number>> = { sha256: 32, sha384: 48, sha512: 64 };

/** Returns the size of a digest and of a MAC in bytes, which RFC 9420 calls `Nh`. */
export function digestSizeBytes(hash: SuiteHash): number {
  return DIGEST_SIZE_BYTES[hash];
}
