import { ensureAccount } from '#domain/accounts/ensure-account.ts';
import type { Caller } from '#domain/caller.ts';
import { listDeviceTags, unregisteredWarning } from '#domain/devices/list-device-tags.ts';
import { recordDevicesSeenByTag } from '#domain/devices/record-devices-seen.ts';
import { domainError } from '#domain/domain-error.ts';
import { withIdempotentItems } from '#domain/idempotency/with-idempotent-items.ts';
import { refusalFor, refusalWithText } from '#domain/refusal-reasons.ts';
import { cipherSuiteNumber } from '#mls/cipher-suites.ts';
import { checkKeyPackage } from '#mls/key-packages/key-package.ts';
import type { CheckedKeyPackage } from '#mls/key-packages/key-package.ts';
import type { Clock } from '#platform/clock.ts';
import { AppError } from '#platform/errors.ts';
import { limits } from '#platform/limits.ts';
import { padToBucket, timeBucketMs } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { deviceTag, keyPackageOwner, keyPackageStates, storedRef } from './key-package.ts';
import { insertKeyPackages, selectStoredBefore } from './store.ts';
import type { NewKeyPackageRow } from './store.ts';

export interface PublishDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly clock: Clock;
  readonly timeBucketSeconds: number;
  readonly idempotencyTtlHours: number;
  readonly keyPackagesPerDeviceMax: number;
  /** Days for which an unused package is kept. The last packages of a device are kept longer. */
  readonly keyPackageTtlDays: number;
}

const msPerDay = 86_400_000;

export interface KeyPackageUpload {
  readonly bytes: Buffer;
  /** The lexicon's name of the cipher suite. */
  readonly cipherSuite: string;
  /** The expiry that the owner chose. The package expires earlier if its lifetime ends before this time. */
  readonly expiresAtMs: number | undefined;
  /** The tag of the device that the call names. The package must have the signature key of this device. */
  readonly deviceTag?: Buffer | undefined;
  readonly idempotencyKey?: string | undefined;
}

/** A package that passed all checks, with the row to store. */
interface PreparedPackage {
  readonly checked: CheckedKeyPackage;
  readonly row: NewKeyPackageRow;
}

/** The result of one upload, undefined if the package is stored. */
export type PublishOutcome = AppError | undefined;

/** The results of a call. */
export interface Published {
  /** One result for each upload, in the same order. */
  readonly outcomes: readonly PublishOutcome[];
  /** For a caller without a registered device, with whose key the packages could have been compared. */
  readonly unregisteredWarning: string | undefined;
}

/**
 * Checks the caller's key packages and stores the valid ones. A package that is already stored is accepted only while
 * it is available, or in every state if the call repeats an idempotency key. A refused package has the error
 * InvalidKeyPackage, InvalidCipherSuite, TooManyKeyPackages or IdempotencyKeyReused.
 * @param method the called lexicon method.
 */
export async function publishKeyPackages(
  deps: PublishDeps,
  caller: Caller,
  uploads: readonly KeyPackageUpload[],
  method: 'publishKeyPackage' | 'publishKeyPackages' = 'publishKeyPackages',
): Promise<Published> {
  const devices = await listDeviceTags(deps, caller);
  const registered = devices.map(({ tag }) => tag);
  const prepared = await Promise.all(uploads.map((upload) => prepareOrError(deps, caller, upload, registered)));
  await ensureAccount(deps, caller.did);
  const store: Store = async (db, items) => {
    const unseen = devices.filter(({ tag, isSeenToday }) => !isSeenToday && isFromDevice(items, tag));
    await recordDevicesSeenByTag(
      { db },
      unseen.map(({ tag }) => tag),
    );
    return storePrepared({ ...deps, db }, caller, items);
  };
  return {
    outcomes: await storeOnce(deps, { caller, uploads, prepared, method }, store),
    unregisteredWarning: registered.length === 0 ? unregisteredWarning : undefined,
  };
}

type Prepared = PreparedPackage | AppError;
type Store = (db: Db, items: readonly Prepared[]) => Promise<PublishOutcome[]>;

/** Stores the packages, except those whose idempotency key was used before. */
async function storeOnce(
  deps: PublishDeps,
  call: {
    readonly caller: Caller;
    readonly uploads: readonly KeyPackageUpload[];
    readonly prepared: readonly Prepared[];
    readonly method: 'publishKeyPackage' | 'publishKeyPackages';
  },
  store: Store,
): Promise<PublishOutcome[]> {
  const { caller, uploads, prepared, method } = call;
  if (uploads.every(({ idempotencyKey }) => idempotencyKey === undefined)) return store(deps.db, prepared);
  const calls = uploads.map((input) => ({ caller, method, key: input.idempotencyKey, input }));
  return deps.db.transaction().execute((tx) =>
    withIdempotentItems(deps, tx, calls, (positions) => {
      const fresh = new Set(positions);
      return store(
        tx,
        prepared.filter((_item, position) => fresh.has(position)),
      );
    }),
  );
}

const isFromDevice = (items: readonly Prepared[], tag: Buffer): boolean =>
  items.some((item) => !(item instanceof AppError) && item.row.device_tag.equals(tag));

/**
 * Stores the packages that `prepareOrError` accepted. A device may have twice `keyPackagesPerDeviceMax`, because the
 * clean-up job deletes the surplus later.
 * @returns one result for each item of `prepared`, in the same order.
 */
async function storePrepared(
  deps: PublishDeps,
  caller: Caller,
  prepared: readonly Prepared[],
): Promise<PublishOutcome[]> {
  const accepted = prepared.flatMap((item) => (item instanceof AppError ? [] : [item.row]));
  const before = await selectStoredBefore(deps.db, keyPackageOwner(deps.privacy, caller.did), {
    refs: accepted.map(({ ref }) => ref),
    tags: [...new Map(accepted.map(({ device_tag: tag }) => [tag.toString('hex'), tag])).values()],
  });
  const known = new Map(before.packages.map((row) => [row.ref.toString('hex'), row]));
  const available = new Map(before.available);
  const rows: NewKeyPackageRow[] = [];
  const outcomes = prepared.map((item): PublishOutcome => {
    if (item instanceof AppError) return item;
    const stored = known.get(item.row.ref.toString('hex'));
    if (stored !== undefined) {
      return stored.state === keyPackageStates.available && stored.owner.equals(item.row.owner)
        ? undefined
        : refusalFor('InvalidKeyPackage', 'usedBefore');
    }
    const tag = item.row.device_tag.toString('hex');
    const count = available.get(tag) ?? 0;
    if (count >= deps.keyPackagesPerDeviceMax * 2) return domainError('TooManyKeyPackages');
    available.set(tag, count + 1);
    rows.push(item.row);
    return undefined;
  });
  await insertKeyPackages(deps.db, rows, deps.timeBucketSeconds);
  return outcomes;
}

/**
 * Checks one upload by the rules of RFC 9420 section 10.1 and compares the package's identity with the caller. It
 * returns a refusal instead of throwing it, so that the other packages of the call are still stored.
 * @param registered tags of the devices whose packages are accepted. If it is empty, packages of every device are
 *   accepted.
 */
async function prepareOrError(
  deps: PublishDeps,
  caller: Caller,
  upload: KeyPackageUpload,
  registered: readonly Buffer[],
): Promise<Prepared> {
  try {
    const prepared = await prepare(deps, caller, upload);
    return findDeviceMismatch(upload, prepared.row.device_tag, registered) ?? prepared;
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

/** Refuses a package whose signature key is not the device's key, because the device could not use that package. */
function findDeviceMismatch(
  { deviceTag: named }: KeyPackageUpload,
  tag: Buffer,
  registered: readonly Buffer[],
): AppError | undefined {
  if (named !== undefined) {
    return named.equals(tag) ? undefined : refusalFor('InvalidKeyPackage', 'otherDeviceKey');
  }
  const isKnown = registered.length === 0 || registered.some((other) => other.equals(tag));
  return isKnown ? undefined : refusalFor('InvalidKeyPackage', 'unregisteredKey');
}

async function prepare(deps: PublishDeps, caller: Caller, upload: KeyPackageUpload): Promise<PreparedPackage> {
  const { privacy } = deps;
  const cipherSuite = cipherSuiteNumber(upload.cipherSuite);
  if (cipherSuite === undefined) throw refusalFor('InvalidCipherSuite', 'unknownName');
  if (upload.bytes.length === 0) throw refusalFor('InvalidKeyPackage', 'notBase64');
  if (upload.bytes.length > limits.keyPackageSizeBytesMax) throw refusalFor('InvalidKeyPackage', 'tooLarge');
  const nowMs = deps.clock.nowMs();
  const checked = await checkKeyPackage(upload.bytes, {
    cipherSuite,
    identity: caller.did,
    nowMs,
    lifetimeMsMax: limits.keyPackageLifetimeMsMax,
  });
  const expiresAtMs = Math.min(checked.notAfterMs, upload.expiresAtMs ?? Number.MAX_SAFE_INTEGER);
  if (expiresAtMs <= nowMs) throw refusalFor('InvalidKeyPackage', 'expired');
  const keptUntilMs = nowMs + deps.keyPackageTtlDays * msPerDay;
  const owner = keyPackageOwner(privacy, caller.did);
  const ref = storedRef(privacy, checked.ref);
  return {
    checked,
    row: {
      ref,
      owner,
      key_id: privacy.keyId,
      device_tag: deviceTag(privacy, caller.did, checked.signatureKey),
      cipher_suite: cipherSuite,
      last_resort: checked.lastResort,
      sealed_did: privacy.sealText('key-package-did', [ref], caller.did),
      // Padded because the package contains a DID, and DIDs differ in length.
      sealed_package: privacy.seal('key-package', [ref], padToBucket(checked.keyPackage)),
      expires_at: new Date(timeBucketMs(expiresAtMs, deps.timeBucketSeconds)),
      kept_until: new Date(timeBucketMs(Math.min(expiresAtMs, keptUntilMs), deps.timeBucketSeconds)),
    },
  };
}

/**
 * Publishes the first packages of the device with this tag, either all or none of them.
 * @throws AppError InvalidKeyPackages when a package cannot be stored, InvalidSignatureKey when one has another
 *   device's key.
 */
export async function publishAllOrNothing(
  deps: PublishDeps,
  caller: Caller,
  uploads: readonly KeyPackageUpload[],
  tag: Buffer,
): Promise<void> {
  const prepared = await Promise.all(uploads.map((upload) => prepareOrError(deps, caller, upload, [])));
  throwFirst(prepared);
  const isOther = (item: Prepared): boolean => !(item instanceof AppError || item.row.device_tag.equals(tag));
  if (prepared.some(isOther)) throw refusalFor('InvalidSignatureKey', 'otherThanKeyPackages');
  throwFirst(await storePrepared(deps, caller, prepared));
}

/**
 * Requires that no package was refused.
 * @throws AppError InvalidKeyPackages with the index and the text of the first refusal in the list.
 */
function throwFirst(outcomes: readonly unknown[]): void {
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome instanceof AppError) {
      throw refusalWithText('InvalidKeyPackages', `input.keyPackages[${index}]: ${outcome.message}`);
    }
  }
}
