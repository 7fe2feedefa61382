import type { Clock } from '#platform/clock.ts';
import type { Config } from '#platform/config/config.ts';
import { createBucketNames } from '../stores/bucket-names.ts';
import type { NameBucket } from '../stores/bucket-names.ts';
import type { Awaitable, Decision } from './decision.ts';
import type { Outcome, QuotaRule } from '../stores/gcra.ts';
import { createMemoryStore } from '../stores/memory/memory-store.ts';
import type { MemoryStore } from '../stores/memory/memory-store.ts';
import { quotas, unitOf, windowSecondsOf } from './quotas.ts';
import type { CallerQuotaName, Quota, QuotaName, QuotaScope } from './quotas.ts';
import type { BucketNames, QuotaStore } from '../stores/quota-store.ts';

/** Charges requests to the quotas of the table. */
export interface QuotaCharger {
  /**
   * Charges `cost` (default 1) to a row of the table. `whose` is an address, a network, a DID or a conversation id, as the
   * scope of the row says. @throws RangeError unless `cost` is a whole number from 1 to the limit of the row.
   */
  take(quota: QuotaName, whose: string | BucketNames, cost?: number): Awaitable<Decision>;
  /** What `take` would say; charges nothing. */
  peek(quota: QuotaName, whose: string | BucketNames, cost?: number): Awaitable<Decision>;
  /** Takes a charge of `cost` (default 1) back that was made `agoMs` (default 0) ago. */
  refund(quota: QuotaName, whose: string | BucketNames, cost?: number, agoMs?: number): Awaitable<void>;
  /** Stands for `whose` in the functions above for as long as one request takes: finding the name costs more than a charge. */
  nameOf(quota: QuotaName, whose: string): BucketNames;
  /** What a row allows in its window. */
  limitOf(quota: QuotaName): number;
  /** Charges a request that has not proven an identity. `address` comes from `client-address.ts`. */
  takeAddress(address: string): Awaitable<Decision>;
  /** Takes that charge back once the token is verified: users behind one PDS or NAT share an address. */
  giveBackAddress(address: string): Awaitable<void>;
  /** Charges a request of the account `did` to a row of the table. */
  takeCaller(did: string, quota: CallerQuotaName): Awaitable<Decision>;
}

export interface QuotaDeps {
  readonly config: Pick<Config, Quota['setting']>;
  readonly clock: Clock;
  /** Apart, so that a flood of addresses takes no room from accounts. Absent: in memory. */
  readonly stores?: QuotaStores;
  /** Absent: under a salt of this process, for stores that are not shared. */
  readonly nameOf?: NameBucket;
}

export type QuotaStores = Readonly<Record<QuotaScope, QuotaStore>>;

/** Buckets that one server counts at a time. */
const bucketsMax = { address: 100_000, caller: 100_000, target: 50_000, conversation: 50_000 } as const;

/** A store of its own for each scope, in this process. */
export function createMemoryStores(): Readonly<Record<QuotaScope, MemoryStore>> {
  return {
    address: createMemoryStore(bucketsMax.address),
    caller: createMemoryStore(bucketsMax.caller),
    target: createMemoryStore(bucketsMax.target),
    conversation: createMemoryStore(bucketsMax.conversation),
  };
}

/** A charger that counts in memory unless it is given other stores. */
export function createQuota(deps: QuotaDeps): QuotaCharger {
  const { clock } = deps;
  const stores = deps.stores ?? createMemoryStores();
  const nameOf = deps.nameOf ?? createBucketNames(clock);
  const namesOf = (quota: QuotaName, whose: string | BucketNames): BucketNames =>
    typeof whose === 'string' ? nameOf(quota, whose) : whose;
  const rules = rulesOf(deps.config);

  function ask(
    act: 'charge' | 'peek',
    quota: QuotaName,
    whose: string | BucketNames,
    cost?: number,
  ): Awaitable<Decision> {
    const rule = rules[quota];
    const outcome = stores[quotas[quota].scope][act](namesOf(quota, whose), rule, clock.monotonicMs(), cost);
    return outcome instanceof Promise
      ? outcome.then((settled) => decisionOf({ quota, rule, outcome: settled }, clock.nowMs()))
      : decisionOf({ quota, rule, outcome }, clock.nowMs());
  }

  const take: QuotaCharger['take'] = (quota, whose, cost) => ask('charge', quota, whose, cost);
  const refund: QuotaCharger['refund'] = (quota, whose, cost, agoMs = 0) =>
    stores[quotas[quota].scope].refund(namesOf(quota, whose), rules[quota], clock.monotonicMs() - agoMs, cost);

  return {
    take,
    peek: (quota, whose, cost) => ask('peek', quota, whose, cost),
    refund,
    nameOf,
    limitOf: (quota) => rules[quota].limit,
    takeAddress: (address) => take('address', address),
    giveBackAddress: (address) => refund('address', address),
    takeCaller: (did, quota) => take(quota, did),
  };
}

function rulesOf(config: QuotaDeps['config']): Readonly<Record<QuotaName, QuotaRule>> {
  const rules = Object.entries<Quota>(quotas).map(([name, row]): [string, QuotaRule] => [
    name,
    {
      name,
      limit: config[row.setting],
      burst: config[row.burst === 'limit' ? row.setting : row.burst],
      windowMs: windowSecondsOf(row) * 1000,
    },
  ]);
  // The names are those of the table.
  return Object.fromEntries(rules) as Record<QuotaName, QuotaRule>;
}

function decisionOf(
  { quota, rule, outcome }: { quota: QuotaName; rule: QuotaRule; outcome: Outcome },
  nowMs: number,
): Decision {
  return {
    allowed: outcome.allowed,
    name: rule.name,
    limit: rule.limit,
    unit: unitOf(quotas[quota]),
    remaining: outcome.remaining,
    windowSeconds: rule.windowMs / 1000,
    resetAtSeconds: Math.ceil((nowMs + outcome.restoredInMs) / 1000),
    retryAfterSeconds: outcome.allowed ? 0 : Math.max(1, Math.ceil(outcome.waitMs / 1000)),
  };
}
