import type { Clock } from '#platform/clock.ts';
import { addAuditCounts } from '#storage/rows/audit-events.ts';
import type { AuditCount } from '#storage/rows/audit-events.ts';
import type { Sql } from '#storage/connection/database.ts';
import { isAuditSubject, unknownSubject } from './audit-subjects.ts';
import type { AuditKind, AuditSubject } from './audit-subjects.ts';

/**
 * Counts security-relevant events by kind and subject from closed lists, never by person or address. Counts are in
 * memory and written once a minute, so a crash loses at most one minute and a flood of events causes few writes.
 */
export interface AuditLog {
  record<Kind extends AuditKind>(kind: Kind, subject: AuditSubject<Kind>, count?: number): void;
  /** Counts the error and the quota of a refused request. An error that is in no list is not counted. */
  recordRefusal(refusal: { readonly error: string; readonly quota: string | undefined }): void;
  /**
   * Writes the counts since the last flush.
   * @throws Error of the database, after which the next flush writes the counts.
   */
  flush(): Promise<void>;
  /** Writes the remaining counts and stops. */
  stop(): Promise<void>;
}

export interface AuditLogDeps {
  readonly sql: Sql;
  readonly clock: Clock;
  /** Counts are stored per minute, or per time bucket if the bucket is longer. */
  readonly timeBucketSeconds: number;
  readonly onError: (error: unknown) => void;
}

const flushIntervalMs = 60_000;
const bucketSecondsMin = 60;

export function startAuditLog(deps: AuditLogDeps): AuditLog {
  const bucketSeconds = Math.max(bucketSecondsMin, deps.timeBucketSeconds);
  const stopping = new AbortController();
  let counts = new Map<string, AuditCount>();
  let flushing = Promise.resolve();

  function add({ kind, subject, count }: AuditCount): void {
    const key = `${kind} ${subject}`;
    counts.set(key, { kind, subject, count: count + (counts.get(key)?.count ?? 0) });
  }

  async function write(): Promise<void> {
    const pending = counts;
    counts = new Map();
    try {
      await addAuditCounts(deps.sql, [...pending.values()], bucketSeconds);
    } catch (error) {
      for (const each of pending.values()) add(each);
      throw error;
    }
  }

  /** Runs one flush at a time, so that the counts of a failed flush are added again before the next one starts. */
  function flush(): Promise<void> {
    const written = flushing.then(write);
    flushing = written.catch(() => undefined);
    return written;
  }

  function record(kind: AuditKind, subject: string, count = 1): void {
    add({ kind, subject: isAuditSubject(kind, subject) ? subject : unknownSubject, count });
  }

  async function flushPeriodically(): Promise<void> {
    while (!stopping.signal.aborted) {
      await deps.clock.sleep(flushIntervalMs, stopping.signal);
      if (!stopping.signal.aborted) await flush().catch(deps.onError);
    }
  }

  const running = flushPeriodically();
  return {
    record,
    recordRefusal({ error, quota }) {
      if (quota !== undefined) record('limit_hit', quota);
      if (isAuditSubject('auth_failure', error)) record('auth_failure', error);
      if (isAuditSubject('address_refused', error)) record('address_refused', error);
    },
    flush,
    async stop() {
      stopping.abort();
      await running;
      await flush();
    },
  };
}
