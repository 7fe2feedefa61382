import { systemClock } from '#platform/clock.ts';
import { readConfig } from '#platform/config/config.ts';
import { createMemoryStores, createQuota } from '#quota/table/charge.ts';
import type { QuotaCharger } from '#quota/table/charge.ts';
import { createFallbackStore } from '#quota/stores/fallback-store.ts';
import { createMemoryStore } from '#quota/stores/memory/memory-store.ts';
import { quotas } from '#quota/table/quotas.ts';
import type { Quota, QuotaName, QuotaScope } from '#quota/table/quotas.ts';

/**
 * Charges as many keys as the first argument to the stores of a server that counts alone, and as many as the second
 * argument to those of a server that shares its count, alternating between rows of all scopes; prints how many MiB of
 * memory the keys took.
 */
const [aloneKeys = 0, sharingKeys = 0] = process.argv.slice(2).map(Number);

const byScope = new Map<QuotaScope, QuotaName>();
for (const [name, { scope }] of Object.entries<Quota>(quotas)) {
  if (!byScope.has(scope)) byScope.set(scope, name as QuotaName);
}
const rows = [...byScope.values()];

// Limits that are never reached, so that every charge takes the same path with few keys and with many.
const highLimits = rows.map((row): [string, string] => [quotas[row].setting, '1000000']);
const config = readConfig(Object.fromEntries(highLimits));

// As long as an HMAC. Real HMACs would leave garbage that is unrelated to the number of keys.
const namer = {
  nameOf: (_: QuotaName, subject: string) => ({ current: subject, previous: undefined }),
  generationOf: () => 0,
};

function openAlone(): QuotaCharger {
  return createQuota({ config, clock: systemClock, namer });
}

function openSharing(): QuotaCharger {
  const memory = createMemoryStores();
  const counts = createMemoryStore(1_000);
  const shared = createFallbackStore({
    shared: { ...counts, record: async (...charge) => counts.charge(...charge) },
    localOf: ({ name }) => memory[(quotas as Readonly<Record<string, Quota>>)[name]?.scope ?? 'caller'],
    clock: systemClock,
    serverCount: 2,
    onChange: () => undefined,
  });
  const stores = { address: memory.address, caller: shared, target: shared, conversation: shared };
  return createQuota({ config, clock: systemClock, namer, stores });
}

async function charge(quota: QuotaCharger, charges: number, keys: number): Promise<void> {
  for (let index = 0; index < charges; index++) {
    const row = index % rows.length;
    const key = (Math.imul((index % keys) * rows.length + row, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0');
    const decision = quota.take(rows[row] ?? 'address', key.repeat(4));
    if (decision instanceof Promise) await decision;
  }
}

const sizeMib = (): number => process.memoryUsage.rss() / 1_048_576;
// The memory that charging itself takes.
await charge(openAlone(), 300_000, 100);
await charge(openSharing(), 300_000, 100);
const beforeMib = sizeMib();
const [alone, sharing] = [openAlone(), openSharing()];
await charge(alone, aloneKeys, aloneKeys);
await charge(sharing, sharingKeys, sharingKeys);
process.stdout.write(JSON.stringify({ grownMib: sizeMib() - beforeMib }));
