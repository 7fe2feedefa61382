import type { Clock } from '#platform/clock.ts';
import { addAuditCounts } from '#storage/rows/audit-events.ts';
import type { AuditCount } from '#storage/rows/audit-events.ts';
import type { Sql } from '#storage/connection/database.ts';
import { isAuditSubject, unknownSubject } from './audit-subjects.ts';
import type { AuditKind, AuditSubject } from './audit-subjects.ts';

/**
 * Counts what concerns the service's safety, in words of closed lists: never who, never from where. Counts are kept in memory and
 * written once a minute, so that a crash loses a minute of them, and a flood of events writes no more than a trickle.
 */
export interface AuditLog {
  record<Kind extends AuditKind>(kind: Kind, subject: AuditSubject<Kind>, count?: number): void;
  /** Records what an answer says, if it says anything; texts that are of no list are passed over. */
  recordAnswer(answer: { readonly error: string; readonly quota: string | undefined }): void;
  /** Writes what has been counted since the last time. @throws what the database throws; nothing is lost then. */
  flush(): Promise<void>;
  /** Writes what is left and ends. */
  stop(): Promise<void>;
}

export interface AuditLogDeps {
  readonly sql: Sql;
  readonly clock: Clock;
  /** Counts are kept per minute, or coarser where the service keeps coarser times. */
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
    const taken = counts;
    counts = new Map();
    try {
      await addAuditCounts(deps.sql, [...taken.values()], bucketSeconds);
    } catch (error) {
      for (const each of taken.values()) add(each);
      throw error;
    }
  }

  /** One at a time, so that what failed is counted again before the next one. */
  function flush(): Promise<void> {
    const written = flushing.then(write);
    flushing = written.catch(() => undefined);
    return written;
  }

  function record(kind: AuditKind, subject: string, count = 1): void {
    add({ kind, subject: isAuditSubject(kind, subject) ? subject : unknownSubject, count });
  }

  async function flushNowAndThen(): Promise<void> {
    while (!stopping.signal.aborted) {
      await deps.clock.sleep(flushIntervalMs, stopping.signal);
      if (!stopping.signal.aborted) await flush().catch(deps.onError);
    }
  }

  const running = flushNowAndThen();
  return {
    record,
    recordAnswer({ error, quota }) {
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
