import type { Clock } from '#platform/clock.ts';
import { resolvableMethod } from './did.ts';
import type { IdentityNetwork } from './did.ts';
import type { FetchDidDocument } from './fetch-did-document.ts';
import { identityError, isIdentityError } from '../identity-error.ts';
import type { IdentityErrorCode } from '../identity-error.ts';
import { createAuthenticatedAddresses } from './authenticated-addresses.ts';
import type { AddressName, AuthenticatedAddresses, ProofLevel } from './authenticated-addresses.ts';
import { createLruMap } from '../lru-map.ts';
import type { LruMap } from '../lru-map.ts';
import { createRefreshBudget } from './refresh-budget.ts';
import type { RefreshBudget } from './refresh-budget.ts';
import { importSigningKey, readCurvePoint } from '../signatures/signing-key.ts';
import type { CurvePoint, SigningKey, VerificationMethod } from '../signatures/signing-key.ts';

/** What the service needs of people's DID documents. */
export interface DidDocuments {
  /**
   * The key `#atproto` of `did`, or the one that `kid` names (`#fragment`, `fragment` or `did#fragment`). The same object
   * comes back for as long as the document lists the same key. `refresh: 'force'` fetches the document now if it is older than
   * the question, as far as the limits of refreshes allow, and else gives what is known.
   * @throws AppError DidUnsupported, DidNotFound, SigningKeyMissing, IdentityUnavailable.
   */
  signingKey(did: string, options?: KeyRequest): Promise<SigningKey>;
  /** A client at `address` has proven that it is `did`: its refreshes come first from now on. */
  noteProof(address: AddressName | undefined, did: string): void;
  /**
   * Origin of the person's PDS, or undefined when the document names none.
   * @throws AppError DidUnsupported, DidNotFound, IdentityUnavailable.
   */
  pdsEndpoint(did: string): Promise<string | undefined>;
}

/** Which key, and on whose behalf. */
export interface KeyRequest extends Partial<DocumentQuestion> {
  readonly kid?: string | undefined;
  readonly refresh?: 'force';
}

interface DocumentQuestion {
  /** The client's; without one the service itself asks, or somebody whom the operator lists. */
  readonly address: AddressName | undefined;
  /** When the question arose, on the monotonic clock: a document that was asked for since then is new enough. Default: a second ago. */
  readonly sinceMs: number;
}

export interface DidDocumentsDeps {
  readonly fetchDidDocument: FetchDidDocument;
  readonly clock: Clock;
  readonly network: IdentityNetwork;
  /** Documents kept in memory; a quarter as many absent DIDs are remembered beside them. */
  readonly entriesMax: number;
}

/** From this age on a document is refreshed behind the requests' backs. */
const refreshMs = 4 * 60_000;
/** An older one is used only while no newer one can be had: a key that was taken away is not honoured for longer. */
const freshMs = 5 * 60_000;
const staleMs = 60 * 60_000;
const absentMs = 60_000;
/** After a failure; doubled with each further one, up to `absentMs`. */
const unavailableMs = 5_000;
/** A document this young was fetched for the request that now asks for a fresh one: junk tokens cost one fetch, not two. */
const justFetchedMs = 1_000;
/**
 * How long ago a document must have been asked for before somebody may force a refresh; for owners, how long ago one of them forced
 * the last one, whatever others did meanwhile.
 */
const refreshAfterMs = { owner: 5_000, proven: 5_000, unproven: 15_000 } as const satisfies Record<ProofLevel, number>;

/** Documents list three or four keys; more than this are left out, so that an entry stays small. */
const keysPerDocumentMax = 32;

interface Entry {
  /** By full id. */
  readonly points: ReadonlyMap<string, CurvePoint>;
  /** Keys imported so far; undefined for one that is not usable. */
  readonly keys: Map<string, SigningKey | undefined>;
  readonly pdsEndpoint: string | undefined;
  /** When it was asked for: it is at least as new as that. */
  readonly fetchedAtMs: number;
  /** When it was last asked for, also in vain. */
  askedAtMs: number;
  /** When an owner last forced a refresh. */
  ownerForcedAtMs: number;
}

interface Absence {
  readonly code: 'DidNotFound' | 'IdentityUnavailable';
  readonly untilMs: number;
  /** Failures in a row. */
  readonly failures: number;
}

export function createDidDocuments(deps: DidDocumentsDeps): DidDocuments {
  const cache = new DidDocumentCache(deps);
  return {
    async signingKey(did, { kid, refresh, address, sinceMs = deps.clock.monotonicMs() - justFetchedMs } = {}) {
      if (resolvableMethod(did, deps.network) === undefined) throw identityError('DidUnsupported');
      const question = { address, sinceMs };
      const entry = refresh === 'force' ? await cache.refreshed(did, question) : await cache.current(did, address);
      const key = keyOf(entry, keyId(did, kid));
      if (key === undefined) throw identityError('SigningKeyMissing');
      return key;
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
  /** Apart, so that tokens that name DIDs at random do not push out documents. */
  readonly #absences: LruMap<string, Absence>;
  readonly #inFlight = new Map<string, Promise<Entry>>();
  readonly #budget: RefreshBudget;
  readonly authenticatedAddresses: AuthenticatedAddresses;

  constructor(deps: DidDocumentsDeps) {
    this.#deps = deps;
    this.#entries = createLruMap(deps.entriesMax);
    this.#absences = createLruMap(Math.ceil(deps.entriesMax / 4));
    this.#budget = createRefreshBudget(deps.clock);
    this.authenticatedAddresses = createAuthenticatedAddresses(deps);
  }

  async current(did: string, address: AddressName | undefined): Promise<Entry> {
    const entry = this.#entries.get(did);
    const ageMs = entry === undefined ? Number.POSITIVE_INFINITY : this.#nowMs() - entry.fetchedAtMs;
    const absence = this.#absence(did);
    if (entry !== undefined && ageMs < freshMs) {
      // This request has its answer; `#rememberFailure` notes what went wrong.
      if (ageMs >= refreshMs && absence === undefined) this.#fetchOnce(did, address).catch(() => undefined);
      return entry;
    }
    const stale = ageMs < staleMs ? entry : undefined;
    if (absence === undefined) return orWhileUnavailable(stale, this.#fetchOnce(did, address));
    if (stale !== undefined && absence.code === 'IdentityUnavailable') return stale;
    throw identityError(absence.code);
  }

  /** What is under way already may be older than the question: whoever still needs a newer one asks once more. */
  async refreshed(did: string, { address, sinceMs }: DocumentQuestion): Promise<Entry> {
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
    return entry.askedAtMs <= sinceMs && this.#absence(did) === undefined;
  }

  #nowMs(): number {
    return this.#deps.clock.monotonicMs();
  }

  #absence(did: string): Absence | undefined {
    const absence = this.#absences.get(did);
    return absence !== undefined && this.#nowMs() < absence.untilMs ? absence : undefined;
  }

  #fetchOnce(did: string, address: AddressName | undefined): Promise<Entry> {
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
    const known = this.#entries.peek(did);
    if (known !== undefined) known.askedAtMs = fetchedAtMs;
    try {
      const { verificationMethods, pdsEndpoint } = await this.#deps.fetchDidDocument(did, proofLevel);
      const points = pointsById(did, verificationMethods);
      const former = this.#entries.peek(did);
      const entry = {
        points,
        keys: keptKeys(former, points),
        pdsEndpoint,
        fetchedAtMs,
        askedAtMs: fetchedAtMs,
        ownerForcedAtMs: former?.ownerForcedAtMs ?? Number.NEGATIVE_INFINITY,
      };
      this.#absences.delete(did);
      this.#entries.set(did, entry);
      return entry;
    } catch (error) {
      if (isIdentityError(error)) this.#rememberFailure(did, error.code);
      throw error;
    }
  }

  #rememberFailure(did: string, code: IdentityErrorCode): void {
    if (code !== 'DidNotFound' && code !== 'IdentityUnavailable') return;
    const failures = (this.#absences.peek(did)?.failures ?? 0) + 1;
    // A stale entry, if there is one, goes on being used while the document cannot be had.
    if (code === 'DidNotFound') this.#entries.delete(did);
    const waitMs = code === 'DidNotFound' ? absentMs : Math.min(absentMs, unavailableMs * 2 ** (failures - 1));
    this.#absences.set(did, { code, untilMs: this.#nowMs() + waitMs, failures });
  }
}

async function orWhileUnavailable(entry: Entry | undefined, fetching: Promise<Entry>): Promise<Entry> {
  return fetching.catch((error: unknown) => {
    if (entry !== undefined && isIdentityError(error) && error.code === 'IdentityUnavailable') return entry;
    throw error;
  });
}

/** Keys that the document still lists need not be read again. */
function keptKeys(former: Entry | undefined, points: Entry['points']): Entry['keys'] {
  const kept = [...(former?.keys ?? [])].filter(([id]) => isSamePoint(former?.points.get(id), points.get(id)));
  return new Map(kept);
}

function isSamePoint(a: CurvePoint | undefined, b: CurvePoint | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return a.curve === b.curve && Buffer.compare(a.point, b.point) === 0;
}

function keyId(did: string, kid: string | undefined): string {
  if (kid === undefined) return `${did}#atproto`;
  if (kid.includes('#')) return kid.startsWith('#') ? did + kid : kid;
  return `${did}#${kid}`;
}

function keyOf(entry: Entry, id: string): SigningKey | undefined {
  const known = entry.keys.get(id);
  if (known !== undefined || entry.keys.has(id)) return known;
  const point = entry.points.get(id);
  if (point === undefined) return undefined;
  const key = importSigningKey(id, point);
  entry.keys.set(id, key);
  return key;
}

/** The document's own keys by full id; an id that stands twice is ambiguous, so neither counts. */
function pointsById(did: string, methods: readonly VerificationMethod[]): ReadonlyMap<string, CurvePoint> {
  const points = new Map<string, CurvePoint>();
  const seen = new Set<string>();
  for (const method of methods.slice(0, keysPerDocumentMax)) {
    const id = method.id.startsWith('#') ? did + method.id : method.id;
    const point = id.startsWith(`${did}#`) ? readCurvePoint(method) : undefined;
    if (point !== undefined && !seen.has(id)) points.set(id, point);
    else points.delete(id);
    seen.add(id);
  }
  return points;
}
