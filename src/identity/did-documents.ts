import type { Clock } from '#platform/clock.ts';
import { resolvableMethod } from './did.ts';
import type { IdentityNetwork } from './did.ts';
import type { FetchDidDocument } from './fetch-did-document.ts';
import { identityError, isIdentityError } from './identity-error.ts';
import type { IdentityErrorCode } from './identity-error.ts';
import { createLruMap } from './lru-map.ts';
import type { LruMap } from './lru-map.ts';
import { importSigningKey, readCurvePoint } from './signing-key.ts';
import type { CurvePoint, SigningKey, VerificationMethod } from './signing-key.ts';

/** What the service needs of people's DID documents. */
export interface DidDocuments {
  /**
   * The key `#atproto` of `did`, or the one that `kid` names (`#fragment`, `fragment` or `did#fragment`). The same object
   * comes back until the document is fetched again. `refresh: 'force'` fetches now, once per DID and minute at most.
   * @throws AppError DidUnsupported, DidNotFound, SigningKeyMissing, IdentityUnavailable.
   */
  signingKey(did: string, options?: { kid?: string | undefined; refresh?: 'force' }): Promise<SigningKey>;
  /**
   * Origin of the person's PDS, or undefined when the document names none.
   * @throws AppError DidUnsupported, DidNotFound, IdentityUnavailable.
   */
  pdsEndpoint(did: string): Promise<string | undefined>;
}

export interface DidDocumentsDeps {
  readonly fetchDidDocument: FetchDidDocument;
  readonly clock: Clock;
  readonly network: IdentityNetwork;
  /** Documents kept in memory; a quarter as many absent DIDs are remembered beside them. */
  readonly entriesMax: number;
}

/** A document is used without a question for `freshMs`, then refreshed behind the request's back until `staleMs`. */
const freshMs = 5 * 60_000;
const staleMs = 60 * 60_000;
const absentMs = 60_000;
const unavailableMs = 5_000;
const forcedRefreshMs = 60_000;
/** A document this young was fetched for the request that now asks for a fresh one: junk tokens cost one fetch, not two. */
const justFetchedMs = 1_000;

/** Documents list three or four keys; more than this are left out, so that an entry stays small. */
const keysPerDocumentMax = 32;

interface Entry {
  /** By full id. */
  readonly points: ReadonlyMap<string, CurvePoint>;
  /** Keys imported so far; undefined for one that is not usable. */
  readonly keys: Map<string, SigningKey | undefined>;
  readonly pdsEndpoint: string | undefined;
  readonly fetchedAtMs: number;
  nextRefreshMs: number;
  forcedAtMs: number;
}

interface Absence {
  readonly code: 'DidNotFound' | 'IdentityUnavailable';
  readonly untilMs: number;
}

export function createDidDocuments(deps: DidDocumentsDeps): DidDocuments {
  const cache = new DidDocumentCache(deps);
  return {
    async signingKey(did, { kid, refresh } = {}) {
      if (resolvableMethod(did, deps.network) === undefined) throw identityError('DidUnsupported');
      const entry = refresh === 'force' ? await cache.refreshed(did) : await cache.current(did);
      const key = keyOf(entry, keyId(did, kid));
      if (key === undefined) throw identityError('SigningKeyMissing');
      return key;
    },
    async pdsEndpoint(did) {
      if (resolvableMethod(did, deps.network) === undefined) throw identityError('DidUnsupported');
      return (await cache.current(did)).pdsEndpoint;
    },
  };
}

class DidDocumentCache {
  readonly #deps: DidDocumentsDeps;
  readonly #entries: LruMap<string, Entry>;
  /** Apart, so that tokens that name DIDs at random do not push out documents. */
  readonly #absences: LruMap<string, Absence>;
  readonly #inFlight = new Map<string, Promise<Entry>>();

  constructor(deps: DidDocumentsDeps) {
    this.#deps = deps;
    this.#entries = createLruMap(deps.entriesMax);
    this.#absences = createLruMap(Math.ceil(deps.entriesMax / 4));
  }

  async current(did: string): Promise<Entry> {
    const cached = this.#cached(did);
    if (cached !== undefined) return cached;
    const absence = this.#absences.get(did);
    if (absence !== undefined && this.#nowMs() < absence.untilMs) throw identityError(absence.code);
    return this.#fetchOnce(did);
  }

  async refreshed(did: string): Promise<Entry> {
    const entry = await this.current(did);
    const nowMs = this.#nowMs();
    const isAllowed = nowMs - entry.forcedAtMs >= forcedRefreshMs && nowMs - entry.fetchedAtMs >= justFetchedMs;
    const running = isAllowed ? this.#fetchOnce(did) : this.#inFlight.get(did);
    if (running === undefined) return entry;
    if (isAllowed) entry.forcedAtMs = nowMs;
    return running.catch((error: unknown) => {
      if (isIdentityError(error) && error.code === 'IdentityUnavailable') return entry;
      throw error;
    });
  }

  #nowMs(): number {
    return this.#deps.clock.monotonicMs();
  }

  #cached(did: string): Entry | undefined {
    const entry = this.#entries.get(did);
    const nowMs = this.#nowMs();
    if (entry === undefined || nowMs - entry.fetchedAtMs >= staleMs) return undefined;
    if (nowMs >= entry.nextRefreshMs) {
      entry.nextRefreshMs = nowMs + unavailableMs;
      // This request has its answer; `#rememberFailure` notes what went wrong.
      this.#fetchOnce(did).catch(() => undefined);
    }
    return entry;
  }

  #fetchOnce(did: string): Promise<Entry> {
    const running = this.#inFlight.get(did);
    if (running !== undefined) return running;
    const started = this.#fetch(did).finally(() => this.#inFlight.delete(did));
    this.#inFlight.set(did, started);
    return started;
  }

  async #fetch(did: string): Promise<Entry> {
    try {
      const { verificationMethods, pdsEndpoint } = await this.#deps.fetchDidDocument(did);
      const points = pointsById(did, verificationMethods);
      const nowMs = this.#nowMs();
      const forcedAtMs = this.#entries.peek(did)?.forcedAtMs ?? Number.NEGATIVE_INFINITY;
      const times = { fetchedAtMs: nowMs, nextRefreshMs: nowMs + freshMs, forcedAtMs };
      const entry = { points, keys: new Map(), pdsEndpoint, ...times };
      this.#absences.delete(did);
      this.#entries.set(did, entry);
      return entry;
    } catch (error) {
      if (isIdentityError(error)) this.#rememberFailure(did, error.code);
      throw error;
    }
  }

  #rememberFailure(did: string, code: IdentityErrorCode): void {
    const nowMs = this.#nowMs();
    if (code === 'DidNotFound') {
      this.#entries.delete(did);
      this.#absences.set(did, { code, untilMs: nowMs + absentMs });
    }
    // A stale entry, if there is one, goes on being used.
    if (code === 'IdentityUnavailable') this.#absences.set(did, { code, untilMs: nowMs + unavailableMs });
  }
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
