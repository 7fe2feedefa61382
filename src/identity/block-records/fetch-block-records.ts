import { z } from 'zod';
import type { Clock } from '#platform/clock.ts';
import type { DidDocuments } from '../did-documents/did-documents.ts';
import type { IdentityNetwork } from '../did-documents/did.ts';
import { createFetchLimiter, createKeyedFetchLimiter } from '../outbound/fetch-limiter.ts';
import { createGuardedFetch, fetchesAtOnceMax } from '../outbound/guarded-fetch.ts';
import { identityError } from '../identity-error.ts';

/** A block that a person has published as an `app.bsky.graph.block` record of their repository. */
export interface BlockRecord {
  /** The DID of the blocked person. */
  readonly subjectDid: string;
  /** Milliseconds since the Unix epoch as the blocker's client wrote them, or 0 if the text is not a date. */
  readonly createdAtMs: number;
  /** The key of the record in the collection. */
  readonly recordKey: string;
}

/**
 * Reads block records from the PDS of the blocker, without a cache.
 * @throws Error on every failure. Its text may contain the address of the PDS.
 */
export interface FetchBlockRecords {
  /** Returns the newest records, at most 1,000 (`pagesMax` pages of 100). */
  list(did: string): Promise<readonly BlockRecord[]>;
  /** Returns one record, or undefined when the PDS responds that the record does not exist. */
  get(did: string, recordKey: string): Promise<BlockRecord | undefined>;
}

export interface FetchBlockRecordsDeps {
  readonly documents: Pick<DidDocuments, 'pdsEndpoint'>;
  readonly clock: Clock;
  readonly network: IdentityNetwork;
  /** Milliseconds for one page, from the connection to the last byte. */
  readonly timeoutMs: number;
}

const collection = 'app.bsky.graph.block';
const recordsPerPage = 100;
/** Twice the size of a page of 100 ordinary records, which have about 30 KiB. */
const pageSizeBytesMax = 64 * 1024;
const pagesMax = 10;
/** Milliseconds after which reading all pages of one person fails. */
const listTimeoutMs = 5_000;
const waitingMax = 1_024;
/** Limits the waiting reads of one person's repository, which run one at a time. */
const waitingPerPersonMax = 64;
const waitMsMax = 3_000;
/** Enough for `did:web:` and the longest host name, which has 253 characters. */
const subjectLengthMax = 262;
const yearTenThousandMs = 253_402_300_800_000;

const recordKeyText = z.string().regex(/^[A-Za-z0-9._~:-]{1,64}$/);
const record = z.object({
  uri: z.string(),
  value: z.object({ subject: z.string().startsWith('did:').max(subjectLengthMax), createdAt: z.string().optional() }),
});
const page = z.object({ records: z.array(z.unknown()).max(recordsPerPage), cursor: z.string().max(512).optional() });

export function createFetchBlockRecords(deps: FetchBlockRecordsDeps): FetchBlockRecords {
  const { network, timeoutMs } = deps;
  const guardedFetch = createGuardedFetch({ network, timeoutMs, responseSizeBytesMax: pageSizeBytesMax });
  const allFetches = createFetchLimiter(deps.clock, { runningMax: fetchesAtOnceMax.records, waitingMax, waitMsMax });
  const fetchesByDid = createKeyedFetchLimiter(deps.clock, {
    runningMax: 1,
    waitingMax: waitingPerPersonMax,
    waitMsMax,
  });
  const limited = <T>(did: string, task: () => Promise<T>): Promise<T> =>
    fetchesByDid.run(did, () => allFetches.run(task));

  async function request(
    method: 'listRecords' | 'getRecord',
    did: string,
    params: Record<string, string>,
  ): Promise<PdsResponse> {
    const endpoint = await deps.documents.pdsEndpoint(did);
    if (endpoint === undefined) throw identityError('IdentityUnavailable');
    const url = new URL(`/xrpc/com.atproto.repo.${method}`, endpoint);
    url.search = new URLSearchParams({ repo: did, collection, ...params }).toString();
    const response = await guardedFetch(url, { redirect: 'error', headers: { accept: 'application/json' } });
    const [mediaType = ''] = (response.headers.get('content-type') ?? '').split(';', 1);
    if (mediaType.trim().toLowerCase() !== 'application/json') {
      await response.body?.cancel();
      throw identityError('IdentityUnavailable');
    }
    return { status: response.status, body: JSON.parse(await response.text()) as unknown };
  }

  async function listAll(did: string): Promise<readonly BlockRecord[]> {
    const startedMs = deps.clock.monotonicMs();
    const records: BlockRecord[] = [];
    let cursor = '';
    for (let pages = 0; pages < pagesMax; pages++) {
      if (deps.clock.monotonicMs() - startedMs > listTimeoutMs) throw identityError('IdentityUnavailable');
      const params = { limit: String(recordsPerPage), ...(cursor === '' ? {} : { cursor }) };
      const response = await request('listRecords', did, params);
      if (response.status !== 200) throw identityError('IdentityUnavailable');
      const parsed = page.parse(response.body);
      records.push(...parsed.records.flatMap((item) => readRecord(item) ?? []));
      cursor = parsed.cursor ?? '';
      if (cursor === '' || parsed.records.length === 0) break;
    }
    return records;
  }

  return {
    list: (did) => limited(did, () => listAll(did)),
    get: (did, recordKey) =>
      limited(did, async () => {
        const { status, body } = await request('getRecord', did, { rkey: recordKey });
        if (status === 200) return readRecord(body);
        if (status === 400 && isRecordNotFound(body)) return undefined;
        throw identityError('IdentityUnavailable');
      }),
  };
}

interface PdsResponse {
  readonly status: number;
  readonly body: unknown;
}

/** Reads a block record from a response. Returns undefined if the item has another form. */
function readRecord(item: unknown): BlockRecord | undefined {
  const parsed = record.safeParse(item);
  if (!parsed.success) return undefined;
  const { uri, value } = parsed.data;
  const recordKey = recordKeyText.safeParse(uri.slice(uri.lastIndexOf('/') + 1));
  if (!recordKey.success) return undefined;
  return { subjectDid: value.subject, createdAtMs: readTime(value.createdAt), recordKey: recordKey.data };
}

function readTime(text: string | undefined): number {
  const timeMs = Date.parse(text ?? '');
  return timeMs >= 0 && timeMs < yearTenThousandMs ? timeMs : 0;
}

function isRecordNotFound(body: unknown): boolean {
  return z.object({ error: z.literal('RecordNotFound') }).safeParse(body).success;
}

/** Returns `at://<did>/app.bsky.graph.block/<key>`. */
export function blockUri(did: string, recordKey: string): string {
  return `at://${did}/${collection}/${recordKey}`;
}

/** Returns the key in the URI of a block record of `did`, or undefined for any other URI. */
export function recordKeyOf(did: string, uri: string): string | undefined {
  const prefix = blockUri(did, '');
  const parsed = recordKeyText.safeParse(uri.startsWith(prefix) ? uri.slice(prefix.length) : '');
  return parsed.success ? parsed.data : undefined;
}
