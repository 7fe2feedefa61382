import type { Clock } from '#platform/clock.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Sql } from '#storage/connection/database.ts';
import { createBucketNames } from './keyed-bucket-names.ts';
import type { BucketNamer } from './keyed-bucket-names.ts';
import { createMemoryStores } from '../table/charge.ts';
import type { QuotaStores } from '../table/charge.ts';
import { createFallbackStore } from './fallback-store.ts';
import { createPostgresStore } from './postgres-store.ts';
import { quotas } from '../table/quotas.ts';
import type { Quota, QuotaName, QuotaScope } from '../table/quotas.ts';
import { createSharedBucketNames } from './shared-bucket-names.ts';
import type { StoreState } from './circuit-breaker.ts';

export interface SharedStoresDeps {
  readonly sql: Sql;
  readonly privacy: Privacy;
  readonly clock: Clock;
  readonly serverCount: number;
  /** Called each time the shared store becomes unavailable or available again. */
  readonly onChange: (state: StoreState) => void;
}

/**
 * Creates the stores that count accounts, targets and conversations for all servers together, and the function that
 * names their buckets. Each server counts client addresses separately, in its memory.
 */
export function createSharedStores(deps: SharedStoresDeps): {
  readonly stores: QuotaStores;
  readonly namer: BucketNamer;
} {
  const { sql, clock } = deps;
  const memory = createMemoryStores();
  const scopes = new Map(Object.entries<Quota>(quotas).map(([name, { scope }]): [string, QuotaScope] => [name, scope]));
  const shared = createFallbackStore({
    shared: createPostgresStore({ sql, clock, timeOf: 'database' }),
    localOf: ({ name }) => memory[scopes.get(name) ?? 'caller'],
    clock,
    serverCount: deps.serverCount,
    onChange: deps.onChange,
  });
  const addressNames = createBucketNames(clock);
  const sharedNames = createSharedBucketNames(deps.privacy, clock);
  const namerOf = (quota: QuotaName): BucketNamer => (quotas[quota].scope === 'address' ? addressNames : sharedNames);
  return {
    stores: { address: memory.address, caller: shared, target: shared, conversation: shared },
    namer: {
      nameOf: (quota, subject) => namerOf(quota).nameOf(quota, subject),
      generationOf: (quota) => namerOf(quota).generationOf(quota),
    },
  };
}
