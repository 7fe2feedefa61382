import { encodeBase64 } from '../api/bytes.ts';
import type { OwnKeyPackage } from '../mls/mls-engine.ts';
import type { Storage } from '../storage/storage.ts';
import type { Context } from './context.ts';
import { change, keys, readKeyPackage } from './records.ts';

/** Key packages of this device that others can claim. */
export interface KeyPackageSupply {
  /**
   * Deletes what has expired and, from the service, what this device cannot open; publishes until there are enough. A call during another
   * one gets its result, because the second would delete what the first is about to publish.
   */
  replenish(): Promise<void>;
}

const batchMax = 100;
/** What `syncKeyPackages` takes. */
const hashesMax = 200;
/** Others can claim key packages without using them, so the number of private parts has a limit. */
const privatePartsMax = 1_000;
/** A Welcome may wait for a device that is not online; it is of no use without the private part. */
const keptAfterExpiryMs = 7 * 86_400_000;
/** Clocks of clients differ. */
const unpublishedBeforeExpiryMs = 3_600_000;

/** @param target how many one-time key packages others should be able to claim. */
export function createKeyPackageSupply(context: Context, target: number): KeyPackageSupply {
  let running: Promise<void> | undefined;
  return {
    replenish() {
      running ??= replenish(context, target).finally(() => (running = undefined));
      return running;
    },
  };
}

async function replenish(context: Context, target: number): Promise<void> {
  const { api, storage, deviceId, signal } = context;
  const present = await readUnexpired(storage);
  const localHashes = present.slice(0, hashesMax).map(({ ref }) => ref);
  const { serverHashes } = await api.call('syncKeyPackages', { localHashes, deviceId }, { signal });
  const available = new Set(serverHashes);
  const oneTime = present.filter(({ ref, isLastResort }) => !isLastResort && available.has(ref)).length;
  const hasLastResort = present.some(({ ref, isLastResort }) => isLastResort && available.has(ref));
  const wanted = Math.max(0, Math.min(batchMax - 1, target - oneTime));
  const fresh = await makeKeyPackages(context, { oneTime: wanted, lastResort: hasLastResort ? 0 : 1 });
  if (fresh.length === 0) return;
  // The private parts are stored first: others may use a package as soon as the service has it.
  await storage.write(fresh.map((each) => change(keys.keyPackage(each.ref), each)));
  await publish(context, fresh);
}

/** Key packages of this device, the newest first. Those that expired long ago or are too many are deleted. */
async function readUnexpired(storage: Storage): Promise<OwnKeyPackage[]> {
  const refs = (await storage.keys(keys.keyPackage(''))).map((key) => key.slice(keys.keyPackage('').length));
  const found = await Promise.all(refs.map((ref) => readKeyPackage(storage, ref)));
  const own = found.filter((each) => each !== undefined).sort((a, b) => b.expiresAtMs - a.expiresAtMs);
  const isKept = ({ expiresAtMs }: OwnKeyPackage, index: number): boolean =>
    index < privatePartsMax && Date.now() < expiresAtMs + keptAfterExpiryMs;
  const kept = own.filter(isKept);
  const deleted = own.filter((each) => !kept.includes(each));
  if (deleted.length > 0) await storage.write(deleted.map(({ ref }) => change(keys.keyPackage(ref), undefined)));
  return kept;
}

async function publish(
  { api, engine, deviceId, signal }: Context,
  keyPackages: readonly OwnKeyPackage[],
): Promise<void> {
  const { cipherSuite } = engine;
  const items = keyPackages.map((each) => ({
    keyPackage: encodeBase64(each.keyPackage),
    cipherSuite,
    expires: expiryOf(each),
    deviceId,
    idempotencyKey: crypto.randomUUID(),
  }));
  await api.call('publishKeyPackages', { keyPackages: items }, { signal });
}

async function makeKeyPackages(
  { engine, identity }: Context,
  { oneTime, lastResort }: { readonly oneTime: number; readonly lastResort: number },
): Promise<OwnKeyPackage[]> {
  const made: OwnKeyPackage[] = [];
  for (let count = 0; count < oneTime + lastResort; count += 1) {
    made.push(await engine.createKeyPackage(identity, { isLastResort: count >= oneTime }));
  }
  return made;
}

/** When the service stops giving the key package to others, a little before it expires. */
export function expiryOf({ expiresAtMs }: Pick<OwnKeyPackage, 'expiresAtMs'>): string {
  return new Date(expiresAtMs - unpublishedBeforeExpiryMs).toISOString();
}
