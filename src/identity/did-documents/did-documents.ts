import type { Clock } from '#platform/clock.ts';
import { resolvableMethod } from './did.ts';
import type { IdentityNetwork } from './did.ts';
import type { FetchDidDocument } from './fetch-did-document.ts';
import { identityError, isIdentityError } from '../identity-error.ts';
import type { IdentityErrorCode } from '../identity-error.ts';
import { createAuthenticatedAddresses } from './authenticated-addresses.ts';
import type { AddressPseudonym, AuthenticatedAddresses, ProofLevel } from './authenticated-addresses.ts';
import { createLruMap } from '../lru-map.ts';
import type { LruMap } from '../lru-map.ts';
import { createRefreshBudget } from './refresh-budget.ts';
import type { RefreshBudget } from './refresh-budget.ts';
import { fragmentOf, pointsByFragment } from './key-fragments.ts';
import { importSigningKey } from '../signatures/signing-key.ts';
import type { CurvePoint, KeyHolder, SigningKey } from '../signatures/signing-key.ts';

/** Provides the signing keys and PDS addresses of DID documents, which are fetched and cached in memory. */
export interface DidDocuments {
  /**
   * Returns the key of `did` that `kid` names (`#fragment`, `fragment` or `did#fragment`), by default `#atproto`.
   * Returns the same object as long as the document lists the same key. `refresh: 'force'` fetches the document again
   * if the cached one is older than the request and the refresh limits allow it.
   * @throws AppError DidUnsupported, DidNotFound, SigningKeyMissing, IdentityUnavailable.
   */
  signingKey(did: string, options?: KeyRequest): Promise<SigningKey>;
  /** Returns the key that `signingKey` would return without waiting, or undefined when it would wait or throw. */
  cachedSigningKey(did: string, kid: string | undefined): SigningKey | undefined;
  /** Notes that a client at `address` has authenticated as `did`, so that its later refreshes have priority. */
  noteProof(address: AddressPseudonym | undefined, did: string): void;
  /**
   * Returns the origin of the person's PDS, or undefined when the document has none.
   * @throws AppError DidUnsupported, DidNotFound, IdentityUnavailable.
   */
  pdsEndpoint(did: string): Promise<string | undefined>;
}

/** Names the requested key and the client for which it is requested. */
export interface KeyRequest extends Partial<DocumentRequest> {
  readonly kid?: string | undefined;
  readonly refresh?: 'force';
}

interface DocumentRequest {
  /** The client's address, or undefined for requests of the service and for clients on the operator's allow list. */
  readonly address: AddressPseudonym | undefined;
  /**
   * Time of the request on the monotonic clock, by default one second ago. A document whose fetch began later is new
   * enough.
   */
  readonly sinceMs: number;
}

export interface DidDocumentsDeps {
  readonly fetchDidDocument: FetchDidDocument;
  readonly clock: Clock;
  readonly network: IdentityNetwork;
  /** Limit of cached documents. At most a quarter as many failures are cached. */
  readonly entriesMax: number;
}

/** From this age on, a document is refreshed in the background while requests use the cached one. */
const refreshMs = 4 * 60_000;
/**
 * A document older than this is used only while its fetch fails, so that a removed key is accepted for five minutes at
 * most.
 */
const freshMs = 5 * 60_000;
const staleMs = 60 * 60_000;
const absentMs = 60_000;
/**
 * Milliseconds after a failed fetch before the next one. The time doubles with each further failure, up to `absentMs`.
 */
const unavailableMs = 5_000;
/**
 * A document fetched within this time is not refreshed, so that a token with a wrong signature causes one fetch and not
 * two.
 */
const justFetchedMs = 1_000;
/**
 * Milliseconds from the last fetch of a document until a client may force the next one. For owners, only fetches forced
 * by owners count, so that other clients cannot delay them.
 */
const refreshAfterMs = { owner: 5_000, proven: 5_000, unproven: 15_000 } as const satisfies Record<ProofLevel, number>;

interface Entry {
  readonly holder: KeyHolder;
  /** The keys of the document by the fragment of their id. */
  readonly points: ReadonlyMap<string, CurvePoint>;
  /** The imported keys by fragment. Undefined marks a key that is not usable. */
  readonly keys: Map<string, SigningKey | undefined>;
  readonly pdsEndpoint: string | undefined;
  /** When the fetch of this document began. */
  readonly fetchedAtMs: number;
  /** When the last attempt to fetch the document began. */
  lastFetchAtMs: number;
  /** When an owner last forced a refresh. */
  ownerForcedAtMs: number;
}

interface CachedFailure {
  readonly code: 'DidNotFound' | 'IdentityUnavailable';
  readonly untilMs: number;
  /** Number of failures in a row. */
  readonly failures: number;
}

export function createDidDocuments(deps: DidDocumentsDeps): DidDocuments {
  const cache = new DidDocumentCache(deps);
  return {
    async signingKey(did, { kid, refresh, address, sinceMs = deps.clock.monotonicMs() - justFetchedMs } = {}) {
      if (resolvableMethod(did, deps.network) === undefined) throw identityError('DidUnsupported');
      const entry =
        refresh === 'force' ? await cache.refreshed(did, { address, sinceMs }) : await cache.current(did, address);
      const key = keyOf(did, entry, kid);
      if (key === undefined) throw identityError('SigningKeyMissing');
      return key;
    },
    cachedSigningKey(did, kid) {
      const entry = cache.fresh(did);
      return entry === undefined ? undefined : keyOf(did, entry, kid);
    },
    async pdsEndpoint(did) {
      if (resolvableMethod(did, deps.network) === undefined) throw identityError('DidUnsupported');
      return (await cache.current(did, undefined)).pdsEndpoint;
    },
    noteProof: (address, did) => cache.authenticatedAddresses.noteProof(address, did),
  };
}

class DidDocumentCache {
  readonly #deps: DidDocumentsDeps;
  readonly #entries: LruMap<string, Entry>;
  /** Separate from `#entries`, so that tokens with random DIDs do not push documents out of the cache. */
  readonly #failures: LruMap<string, CachedFailure>;
  readonly #inFlight = new Map<string, Promise<Entry>>();
  readonly #budget: RefreshBudget;
  readonly authenticatedAddresses: AuthenticatedAddresses;

  constructor(deps: DidDocumentsDeps) {
    this.#deps = deps;
    this.#entries = createLruMap(deps.entriesMax);
    this.#failures = createLruMap(Math.ceil(deps.entriesMax / 4));
    this.#budget = createRefreshBudget(deps.clock);
    this.authenticatedAddresses = createAuthenticatedAddresses(deps);
  }

  /** Returns a document that needs neither a fetch nor a background refresh. */
  fresh(did: string): Entry | undefined {
    const entry = this.#entries.get(did);
    return entry !== undefined && this.#nowMs() - entry.fetchedAtMs < refreshMs ? entry : undefined;
  }

  async current(did: string, address: AddressPseudonym | undefined): Promise<Entry> {
    const entry = this.#entries.get(did);
    const ageMs = entry === undefined ? Number.POSITIVE_INFINITY : this.#nowMs() - entry.fetchedAtMs;
    const failure = this.#failure(did);
    if (entry !== undefined && ageMs < freshMs) {
      // This request succeeds even if the background refresh fails. `#cacheFailure` records the failure.
      if (ageMs >= refreshMs && failure === undefined) this.#fetchOnce(did, address).catch(() => undefined);
      return entry;
    }
    const stale = ageMs < staleMs ? entry : undefined;
    if (failure === undefined) return orWhileUnavailable(stale, this.#fetchOnce(did, address));
    if (stale !== undefined && failure.code === 'IdentityUnavailable') return stale;
    throw identityError(failure.code);
  }

  /**
   * Returns the document after a forced refresh. Shares a fetch that already runs and that may have begun before the
   * request, so a caller that needs a newer document calls again.
   */
  async refreshed(did: string, { address, sinceMs }: DocumentRequest): Promise<Entry> {
    const used = await this.current(did, address);
    const entry = this.#entries.peek(did) ?? used;
    if (entry.fetchedAtMs >= sinceMs) return entry;
    const running = this.#inFlight.get(did);
    if (running !== undefined) return orWhileUnavailable(entry, running);
    const proofLevel = this.authenticatedAddresses.proofLevelOf(address, did);
    if (!this.#mayForce(did, entry, proofLevel) || !this.#budget.take(proofLevel, address)) return entry;
    if (proofLevel === 'owner') entry.ownerForcedAtMs = this.#nowMs();
    return orWhileUnavailable(entry, this.#fetchOnce(did, address));
  }

  #mayForce(did: string, entry: Entry, proofLevel: ProofLevel): boolean {
    const sinceMs = this.#nowMs() - refreshAfterMs[proofLevel];
    if (proofLevel === 'owner') return entry.ownerForcedAtMs <= sinceMs;
    return entry.lastFetchAtMs <= sinceMs && this.#failure(did) === undefined;
  }

  #nowMs(): number {
    return this.#deps.clock.monotonicMs();
  }

  #failure(did: string): CachedFailure | undefined {
    const failure = this.#failures.get(did);
    return failure !== undefined && this.#nowMs() < failure.untilMs ? failure : undefined;
  }

  #fetchOnce(did: string, address: AddressPseudonym | undefined): Promise<Entry> {
    const running = this.#inFlight.get(did);
    if (running !== undefined) return running;
    const started = this.#fetch(did, this.authenticatedAddresses.proofLevelOf(address, did)).finally(() =>
      this.#inFlight.delete(did),
    );
    this.#inFlight.set(did, started);
    return started;
  }

  async #fetch(did: string, proofLevel: ProofLevel): Promise<Entry> {
    const fetchedAtMs = this.#nowMs();
    const cached = this.#entries.peek(did);
    if (cached !== undefined) cached.lastFetchAtMs = fetchedAtMs;
    try {
      const { verificationMethods, pdsEndpoint } = await this.#deps.fetchDidDocument(did, proofLevel);
      const points = pointsByFragment(did, verificationMethods);
      const previous = this.#entries.peek(did);
      const entry = {
        holder: previous?.holder ?? { did },
        points,
        keys: unchangedKeys(previous, points),
        pdsEndpoint,
        fetchedAtMs,
        lastFetchAtMs: fetchedAtMs,
        ownerForcedAtMs: previous?.ownerForcedAtMs ?? Number.NEGATIVE_INFINITY,
      };
      this.#failures.delete(did);
      this.#entries.set(did, entry);
      return entry;
    } catch (error) {
      if (isIdentityError(error)) this.#cacheFailure(did, error.code);
      throw error;
    }
  }

  #cacheFailure(did: string, code: IdentityErrorCode): void {
    if (code !== 'DidNotFound' && code !== 'IdentityUnavailable') return;
    const failures = (this.#failures.peek(did)?.failures ?? 0) + 1;
    // After DidNotFound the cached document must not be used, but after IdentityUnavailable it stays in use.
    if (code === 'DidNotFound') this.#entries.delete(did);
    const waitMs = code === 'DidNotFound' ? absentMs : Math.min(absentMs, unavailableMs * 2 ** (failures - 1));
    this.#failures.set(did, { code, untilMs: this.#nowMs() + waitMs, failures });
  }
}

async function orWhileUnavailable(entry: Entry | undefined, fetching: Promise<Entry>): Promise<Entry> {
  return fetching.catch((error: unknown) => {
    if (entry !== undefined && isIdentityError(error) && error.code === 'IdentityUnavailable') return entry;
    throw error;
  });
}

/**
 * Returns the imported keys that the new document lists unchanged, because importing a key again takes about 0.1 ms.
 */
function unchangedKeys(previous: Entry | undefined, points: Entry['points']): Entry['keys'] {
  const unchanged = [...(previous?.keys ?? [])].filter(([id]) => isSamePoint(previous?.points.get(id), points.get(id)));
  return new Map(unchanged);
}

function isSamePoint(a: CurvePoint | undefined, b: CurvePoint | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return a.curve === b.curve && Buffer.compare(a.point, b.point) === 0;
}

/** Returns the key that `kid` names, or undefined when the document has no usable key of that name. */
function keyOf(did: string, entry: Entry, kid: string | undefined): SigningKey | undefined {
  const fragment = kid === undefined ? 'atproto' : fragmentOf(did, kid);
  if (fragment === undefined) return undefined;
  const imported = entry.keys.get(fragment);
  if (imported !== undefined || entry.keys.has(fragment)) return imported;
  const point = entry.points.get(fragment);
  if (point === undefined) return undefined;
  const key = importSigningKey(entry.holder, `${did}#${fragment}`, point);
  entry.keys.set(fragment, key);
  return key;
}
