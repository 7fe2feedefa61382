import { createLruMap } from '#identity/lru-map.ts';
import type { Clock } from '#platform/clock.ts';
import type { Config } from '#platform/config/config.ts';
import { createBucketNames } from '../stores/keyed-bucket-names.ts';
import type { BucketNamer } from '../stores/keyed-bucket-names.ts';
import { QuotaSubject } from '../stores/quota-subject.ts';
import type { Awaitable, Decision } from './decision.ts';
import type { Outcome, QuotaRule } from '../stores/gcra.ts';
import { createMemoryStore } from '../stores/memory/memory-store.ts';
import type { MemoryStore } from '../stores/memory/memory-store.ts';
import { quotas, unitOf, windowSecondsOf } from './quotas.ts';
import type { AddressQuotaName, CallerQuotaName, Quota, QuotaName, QuotaScope } from './quotas.ts';
import type { BucketNames, QuotaStore } from '../stores/quota-store.ts';

/** Charges requests to the quotas of the table. */
export interface QuotaCharger {
  /**
   * Charges `cost` (default 1) to a row of the table. `subject` is an address, a network, a DID or a conversation id,
   * depending on the scope of the row.
   * @throws RangeError unless `cost` is a whole number from 1 to the limit of the row.
   */
  take(quota: QuotaName, subject: string | QuotaSubject, cost?: number): Awaitable<Decision>;
  /** Returns the decision that `take` would return, and charges nothing. */
  peek(quota: QuotaName, subject: string | QuotaSubject, cost?: number): Awaitable<Decision>;
  /** Refunds a charge of `cost` (default 1) that was made `agoMs` (default 0) milliseconds ago. */
  refund(quota: QuotaName, subject: string | QuotaSubject, cost?: number, agoMs?: number): Awaitable<void>;
  /** Names the buckets. */
  readonly namer: BucketNamer;
  /**
   * Returns the subject of an account. The same object as `account` gives the same subject, whose names are computed
   * once a day.
   */
  accountOf(account: Account): QuotaSubject;
  /** Returns the subject of a conversation. The subjects of the conversations charged last are kept with their names. */
  conversationOf(conversationId: string): QuotaSubject;
  /** Returns the maximum of a row in its window. */
  limitOf(quota: QuotaName): number;
  /** Charges a client address or its network. Every server counts addresses in its own memory, so no caller waits. */
  takeAddress(quota: AddressQuotaName, subject: string | QuotaSubject): Decision;
  /** Refunds a charge of `takeAddress` that was made `agoMs` (default 0) milliseconds ago. */
  refundAddress(quota: AddressQuotaName, subject: string | QuotaSubject, agoMs?: number): void;
  /** Charges a request of `account` to a row of the table. */
  takeCaller(account: Account, quota: CallerQuotaName): Awaitable<Decision>;
}

/** An account that quotas count. */
export interface Account {
  readonly did: string;
}

export interface QuotaDeps {
  readonly config: Pick<Config, Quota['setting']>;
  readonly clock: Clock;
  /** One store for each scope, so that a flood of addresses takes no room from accounts; in memory by default. */
  readonly stores?: QuotaStores;
  /** Names buckets. The default uses a salt of this process, so it is only for stores that are not shared. */
  readonly namer?: BucketNamer;
}

export interface QuotaStores extends Readonly<Record<Exclude<QuotaScope, 'address'>, QuotaStore>> {
  /** Each server counts client addresses in its own memory. */
  readonly address: MemoryStore;
}

/** The maximum number of buckets that one server has in memory for each scope. */
const bucketsMax = { address: 100_000, caller: 100_000, target: 50_000, conversation: 50_000 } as const;

/** The maximum number of conversations whose bucket names are kept. */
const keptConversationsMax = 5_000;

/** Creates a separate in-memory store for each scope. */
export function createMemoryStores(): Readonly<Record<QuotaScope, MemoryStore>> {
  return {
    address: createMemoryStore(bucketsMax.address),
    caller: createMemoryStore(bucketsMax.caller),
    target: createMemoryStore(bucketsMax.target),
    conversation: createMemoryStore(bucketsMax.conversation),
  };
}

/** Creates a charger that counts in memory unless `stores` is given. */
export function createQuota(deps: QuotaDeps): QuotaCharger {
  const { clock } = deps;
  const stores = deps.stores ?? createMemoryStores();
  const namer = deps.namer ?? createBucketNames(clock);
  const { accountOf, conversationOf } = createSubjects();
  const namesOf = (quota: QuotaName, subject: string | QuotaSubject): BucketNames =>
    typeof subject === 'string' ? namer.nameOf(quota, subject) : subject.namesOf(namer, quota);
  const rules = rulesOf(deps.config);

  function decide(
    act: 'charge' | 'peek',
    quota: QuotaName,
    subject: string | QuotaSubject,
    cost?: number,
  ): Awaitable<Decision> {
    const rule = rules[quota];
    const outcome = stores[quotas[quota].scope][act](namesOf(quota, subject), rule, clock.monotonicMs(), cost);
    return outcome instanceof Promise
      ? outcome.then((resolved) => decisionOf(rule, resolved, clock.nowMs()))
      : decisionOf(rule, outcome, clock.nowMs());
  }

  const take: QuotaCharger['take'] = (quota, subject, cost) => decide('charge', quota, subject, cost);
  const refund: QuotaCharger['refund'] = (quota, subject, cost, agoMs = 0) =>
    stores[quotas[quota].scope].refund(namesOf(quota, subject), rules[quota], clock.monotonicMs() - agoMs, cost);

  return {
    take,
    peek: (quota, subject, cost) => decide('peek', quota, subject, cost),
    refund,
    namer,
    accountOf,
    conversationOf,
    limitOf: (quota) => rules[quota].limit,
    takeAddress(name, subject) {
      const rule = rules[name];
      const outcome = stores.address.charge(namesOf(name, subject), rule, clock.monotonicMs());
      return decisionOf(rule, outcome, clock.nowMs());
    },
    refundAddress: (name, subject, agoMs = 0) =>
      stores.address.refund(namesOf(name, subject), rules[name], clock.monotonicMs() - agoMs),
    takeCaller: (account, quota) => take(quota, accountOf(account)),
  };
}

function createSubjects(): Pick<QuotaCharger, 'accountOf' | 'conversationOf'> {
  // An entry ends with the object of the account, which the cache of DID documents holds.
  const accounts = new WeakMap<Account, QuotaSubject>();
  const conversations = createLruMap<string, QuotaSubject>(keptConversationsMax);
  return {
    accountOf(account) {
      const known = accounts.get(account);
      if (known !== undefined) return known;
      const subject = new QuotaSubject(account.did);
      accounts.set(account, subject);
      return subject;
    },
    conversationOf(conversationId) {
      const known = conversations.get(conversationId);
      if (known !== undefined) return known;
      const subject = new QuotaSubject(conversationId);
      conversations.set(conversationId, subject);
      return subject;
    },
  };
}

/** A rule with the fields that decisions name. */
interface TableRule extends QuotaRule {
  readonly unit: string;
  readonly windowSeconds: number;
}

function rulesOf(config: QuotaDeps['config']): Readonly<Record<QuotaName, TableRule>> {
  const rules = Object.entries<Quota>(quotas).map(([name, row]): [string, TableRule] => [
    name,
    {
      name,
      limit: config[row.setting],
      burst: config[row.burst === 'limit' ? row.setting : row.burst],
      unit: unitOf(row),
      windowMs: windowSecondsOf(row) * 1000,
      windowSeconds: windowSecondsOf(row),
    },
  ]);
  return Object.fromEntries(rules) as Record<QuotaName, TableRule>;
}

function decisionOf(
  { name, limit, unit, windowSeconds }: TableRule,
  { allowed, remaining, waitMs, restoredInMs }: Outcome,
  nowMs: number,
): Decision {
  return {
    allowed,
    name,
    limit,
    unit,
    remaining,
    windowSeconds,
    resetAtSeconds: Math.ceil((nowMs + restoredInMs) / 1000),
    retryAfterSeconds: allowed ? 0 : Math.max(1, Math.ceil(waitMs / 1000)),
  };
}
