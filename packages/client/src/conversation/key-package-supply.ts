import { encodeBase64 } from '../api/bytes.ts';
import type { OwnKeyPackage } from '../mls/mls-engine.ts';
import type { Context } from './context.ts';
import { change, keys, readKeyPackage } from './records.ts';

/** Key packages of this device that others can claim. */
export interface KeyPackageSupply {
  /** Deletes from the service what this device cannot open, and publishes until there are enough. */
  replenish(): Promise<void>;
}

const batchMax = 100;

/** @param target how many one-time key packages others should be able to claim. */
export function createKeyPackageSupply(context: Context, target: number): KeyPackageSupply {
  const { api, engine, storage, deviceId, signal } = context;

  async function own(): Promise<OwnKeyPackage[]> {
    const refs = (await storage.keys(keys.keyPackage(''))).map((key) => key.slice(keys.keyPackage('').length));
    const found = await Promise.all(refs.map((ref) => readKeyPackage(storage, ref)));
    return found.filter((each) => each !== undefined);
  }

  return {
    async replenish() {
      const present = await own();
      const localHashes = present.map(({ ref }) => ref);
      const { serverHashes } = await api.call('syncKeyPackages', { localHashes, deviceId }, { signal });
      const available = new Set(serverHashes);
      const oneTime = present.filter(({ ref, isLastResort }) => !isLastResort && available.has(ref)).length;
      const hasLastResort = present.some(({ ref, isLastResort }) => isLastResort && available.has(ref));
      const wanted = Math.max(0, Math.min(batchMax - 1, target - oneTime));
      const fresh = await makeKeyPackages(context, { oneTime: wanted, lastResort: hasLastResort ? 0 : 1 });
      if (fresh.length === 0) return;
      // The private parts are stored first: others may use a package as soon as the service has it.
      await storage.write(fresh.map((each) => change(keys.keyPackage(each.ref), each)));
      const cipherSuite = engine.cipherSuite;
      await api.call(
        'publishKeyPackages',
        {
          keyPackages: fresh.map((each) => ({
            keyPackage: encodeBase64(each.keyPackage),
            cipherSuite,
            expires: expiryOf(each),
            deviceId,
          })),
        },
        { signal },
      );
    },
  };
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

const publishedDays = { oneTime: 29.9, lastResort: 3_649 };
const dayMs = 86_400_000;

/** Before the end of the key package's own lifetime. */
export function expiryOf({ isLastResort }: Pick<OwnKeyPackage, 'isLastResort'>): string {
  const days = isLastResort ? publishedDays.lastResort : publishedDays.oneTime;
  return new Date(Date.now() + days * dayMs).toISOString();
}
