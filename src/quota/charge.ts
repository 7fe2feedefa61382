import type { Clock } from '#platform/clock.ts';
import type { Config } from '#platform/config.ts';
import { createBucketNames } from './bucket-names.ts';
import type { Awaitable, Decision } from './decision.ts';
import type { Outcome, QuotaRule } from './gcra.ts';
import { createMemoryStore } from './memory-store.ts';
import { quotas, windowSeconds } from './quotas.ts';
import type { CallerQuotaName, Quota, QuotaName } from './quotas.ts';
import type { QuotaStore } from './store.ts';

/** Charges requests to the quotas of the table. */
export interface QuotaCharger {
  /** Charges a row of the table to an address, a network or an account. */
  take(quota: QuotaName, whose: string): Awaitable<Decision>;
  /** Takes such a charge back. */
  giveBack(quota: QuotaName, whose: string): Awaitable<void>;
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
  /** Apart, so that a flood of addresses takes no room from accounts. Absent: 100,000 buckets of each in memory. */
  readonly stores?: { readonly address: QuotaStore; readonly caller: QuotaStore };
}

const bucketsMax = 100_000;

/** A charger that counts in memory unless it is given other stores. */
export function createQuota(deps: QuotaDeps): QuotaCharger {
  const { clock } = deps;
  const stores = deps.stores ?? { address: createMemoryStore(bucketsMax), caller: createMemoryStore(bucketsMax) };
  const nameOf = createBucketNames(clock);
  const rules = rulesOf(deps.config);

  function take(quota: QuotaName, whose: string): Awaitable<Decision> {
    const rule = rules[quota];
    const outcome = stores[quotas[quota].scope].charge(nameOf(quota, whose), rule, clock.monotonicMs());
    return outcome instanceof Promise
      ? outcome.then((settled) => decisionOf(rule, settled, clock.nowMs()))
      : decisionOf(rule, outcome, clock.nowMs());
  }

  function giveBack(quota: QuotaName, whose: string): Awaitable<void> {
    return stores[quotas[quota].scope].giveBack(nameOf(quota, whose), rules[quota], clock.monotonicMs());
  }

  return {
    take,
    giveBack,
    limitOf: (quota) => rules[quota].limit,
    takeAddress: (address) => take('address', address),
    giveBackAddress: (address) => giveBack('address', address),
    takeCaller: (did, quota) => take(quota, did),
  };
}

function rulesOf(config: QuotaDeps['config']): Readonly<Record<QuotaName, QuotaRule>> {
  const rules = Object.entries<Quota>(quotas).map(([name, { setting, burst }]): [string, QuotaRule] => [
    name,
    {
      name,
      limit: config[setting],
      burst: config[burst === 'limit' ? setting : burst],
      windowMs: windowSeconds * 1000,
    },
  ]);
  // The names are those of the table.
  return Object.fromEntries(rules) as Record<QuotaName, QuotaRule>;
}

function decisionOf(rule: QuotaRule, outcome: Outcome, nowMs: number): Decision {
  return {
    allowed: outcome.allowed,
    name: rule.name,
    limit: rule.limit,
    remaining: outcome.remaining,
    windowSeconds: rule.windowMs / 1000,
    resetAtSeconds: Math.ceil((nowMs + outcome.restoredInMs) / 1000),
    retryAfterSeconds: outcome.allowed ? 0 : Math.max(1, Math.ceil(outcome.waitMs / 1000)),
  };
}
