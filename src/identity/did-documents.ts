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

/** From this age on a document is refreshed behind the requests' backs. */
const refreshMs = 4 * 60_000;
/** An older one is used only while no newer one can be had: a key that was taken away is not honoured for longer. */
const freshMs = 5 * 60_000;
const staleMs = 60 * 60_000;
const absentMs = 60_000;
/** After a failure; doubled with each further one, up to `absentMs`. */
const unavailableMs = 5_000;
const forcedRefreshMs = 60_000;
/** Anyone can force one with a junk token in somebody's name. */
const forcedPerSecondMax = 10;
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
  /** When it was asked for: it is at least as new as that. */
  readonly fetchedAtMs: number;
  forcedAtMs: number;
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
  /** The last forced refreshes of anybody. */
  readonly #forcedAtMs: number[] = [];

  constructor(deps: DidDocumentsDeps) {
    this.#deps = deps;
    this.#entries = createLruMap(deps.entriesMax);
    this.#absences = createLruMap(Math.ceil(deps.entriesMax / 4));
  }

  async current(did: string): Promise<Entry> {
    const entry = this.#entries.get(did);
    const ageMs = entry === undefined ? Number.POSITIVE_INFINITY : this.#nowMs() - entry.fetchedAtMs;
    const absence = this.#absence(did);
    if (entry !== undefined && ageMs < freshMs) {
      // This request has its answer; `#rememberFailure` notes what went wrong.
      if (ageMs >= refreshMs && absence === undefined) this.#fetchOnce(did).catch(() => undefined);
      return entry;
    }
    const stale = ageMs < staleMs ? entry : undefined;
    if (absence === undefined) return orWhileUnavailable(stale, this.#fetchOnce(did));
    if (stale !== undefined && absence.code === 'IdentityUnavailable') return stale;
    throw identityError(absence.code);
  }

  async refreshed(did: string): Promise<Entry> {
    const entry = await this.current(did);
    const isAllowed = this.#mayForce(entry);
    const running = isAllowed ? this.#fetchOnce(did) : this.#inFlight.get(did);
    if (running === undefined) return entry;
    if (isAllowed) entry.forcedAtMs = this.#nowMs();
    return orWhileUnavailable(entry, running);
  }

  #mayForce({ forcedAtMs, fetchedAtMs }: Entry): boolean {
    const nowMs = this.#nowMs();
    if (nowMs - forcedAtMs < forcedRefreshMs || nowMs - fetchedAtMs < justFetchedMs) return false;
    const [earliestMs = 0] = this.#forcedAtMs;
    if (this.#forcedAtMs.length === forcedPerSecondMax) {
      if (nowMs - earliestMs < 1_000) return false;
      this.#forcedAtMs.shift();
    }
    this.#forcedAtMs.push(nowMs);
    return true;
  }

  #nowMs(): number {
    return this.#deps.clock.monotonicMs();
  }

  #absence(did: string): Absence | undefined {
    const absence = this.#absences.get(did);
    return absence !== undefined && this.#nowMs() < absence.untilMs ? absence : undefined;
  }

  #fetchOnce(did: string): Promise<Entry> {
    const running = this.#inFlight.get(did);
    if (running !== undefined) return running;
    const started = this.#fetch(did).finally(() => this.#inFlight.delete(did));
    this.#inFlight.set(did, started);
    return started;
  }

  async #fetch(did: string): Promise<Entry> {
    const fetchedAtMs = this.#nowMs();
    try {
      const { verificationMethods, pdsEndpoint } = await this.#deps.fetchDidDocument(did);
      const points = pointsById(did, verificationMethods);
      const forcedAtMs = this.#entries.peek(did)?.forcedAtMs ?? Number.NEGATIVE_INFINITY;
      const entry = { points, keys: new Map(), pdsEndpoint, fetchedAtMs, forcedAtMs };
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
