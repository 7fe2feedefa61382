import type { CursorCodec } from '#domain/events/cursor.ts';
import { eventKinds } from '#domain/events/event.ts';
import type { EventRow, LogPosition } from '#domain/events/event.ts';
import { openEvents, personOf, readLogEnd, readTail } from '#domain/events/read-events.ts';
import { readEntitlements } from '#domain/membership/members/read-entitlements.ts';
import type { Listener } from '#domain/membership/members/read-entitlements.ts';
import type { Clock } from '#platform/clock.ts';
import { required } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Database } from '#storage/connection/database.ts';
import { eventFrame } from './frames.ts';
import type { Hub, Subscription } from './hub.ts';

/** Reads the event log once for all subscribers of this server. */
export interface Tail {
  /** Makes the tail read the log now, because an event was written. */
  wake(): void;
  /**
   * Attaches the subscription between two batches.
   * @returns the position after which the subscription gets every event.
   */
  attach(subscription: Subscription): Promise<LogPosition>;
  stop(): Promise<void>;
}

export interface TailDeps {
  readonly database: Database;
  readonly privacy: Privacy;
  readonly clock: Clock;
  readonly hub: Hub;
  readonly codec: CursorCodec;
  readonly onError: (error: unknown) => void;
}

const batchRowsMax = 1_000;
/** Milliseconds between two reads of the log, so that many events are read as one batch. */
const pauseMs = 3;
/**
 * Number of quick reads after a notification. One read is not enough, because older transactions may delay the events.
 */
const quickReadsMax = 15;
const slowPollMs = 500;
/**
 * Poll interval while open transactions delay events, because a rollback sends no notification. The locks of writers
 * are read at most this often.
 */
const delayedPollMs = 25;
const errorPauseMs = 250;

interface PendingAttach {
  readonly subscription: Subscription;
  readonly resolve: (position: LogPosition) => void;
}

/** Starts a tail that reads from the current end of the log. */
export function startTail(deps: TailDeps): Tail {
  let isStopping = false;
  let endRest = (): void => undefined;
  let quickReads = 0;
  const gaps = gapsOf(deps.clock);
  let pending: PendingAttach[] = [];

  function wake(): void {
    // Without subscribers the slow poll is enough to follow the end of the log.
    if (deps.hub.size === 0) return;
    quickReads = quickReadsMax;
    endRest();
  }

  async function rest(longestMs: number): Promise<void> {
    const waking = new AbortController();
    endRest = () => waking.abort();
    await deps.clock.sleep(longestMs, waking.signal);
    endRest = () => undefined;
  }

  function attachPending(): void {
    for (const { subscription, resolve } of pending) {
      deps.hub.attach(subscription);
      resolve(deps.hub.position);
    }
    pending = [];
  }

  async function run(): Promise<void> {
    while (!isStopping) {
      try {
        const result = await readBatch(deps, gaps.next(), attachPending);
        gaps.note(result);
        quickReads = result.found ? quickReadsMax : Math.max(0, quickReads - 1);
        await deps.clock.sleep(pauseMs);
        if (quickReads === 0 && pending.length === 0 && !isStopping)
          await rest(gaps.isHeld ? delayedPollMs : slowPollMs);
      } catch (error) {
        deps.onError(error);
        await rest(errorPauseMs);
      }
    }
  }

  const running = run();
  return {
    wake,
    attach: (subscription) =>
      new Promise((resolve) => {
        pending.push({ subscription, resolve });
        wake();
      }),
    async stop() {
      isStopping = true;
      endRest();
      await running;
    },
  };
}

/**
 * The result of one read of the log. `found` means that it returned events, and `isHeld` means that a taken position
 * has no visible event yet.
 */
interface ReadResult {
  readonly found: boolean;
  readonly isHeld: boolean;
}

/**
 * Decides which reads also check whether a gap in the positions will stay empty. The check reads locks, so it runs at
 * most once per `delayedPollMs`, and not in the first read after new events.
 */
function gapsOf(clock: Clock): { readonly isHeld: boolean; next(): 'pass' | 'await'; note(result: ReadResult): void } {
  let isHeld = false;
  let passedMs = 0;
  return {
    get isHeld() {
      return isHeld;
    },
    next() {
      if (!isHeld || clock.monotonicMs() - passedMs < delayedPollMs) return 'await';
      passedMs = clock.monotonicMs();
      return 'pass';
    },
    note(result) {
      isHeld = result.isHeld && !result.found;
    },
  };
}

/**
 * Reads and dispatches one batch, in which joins and leaves take effect in log order. Subscriptions are attached after
 * the rows are read and before the next await, so that a subscription attached at `hub.position` gets exactly the rows
 * after this position.
 */
async function readBatch(deps: TailDeps, gaps: 'pass' | 'await', attachPending: () => void): Promise<ReadResult> {
  const { hub } = deps;
  if (hub.size === 0) {
    const logEnd = await readLogEnd(deps.database);
    if (hub.size === 0) hub.dispatch({ events: [], entitlements: new Map(), upTo: logEnd }, refuseEncoding);
    return { found: false, isHeld: false };
  }
  const { events: rows, isHeld } = await readTail(deps.database, hub.position, { limit: batchRowsMax, gaps });
  attachPending();
  const last = rows.at(-1);
  if (last === undefined) return { found: false, isHeld };
  const joiners = listenersAmongJoiners(deps, rows);
  const joined = new Set(joiners.map(({ groupId }) => groupId.toString('hex')));
  const wanted = rows.filter((row) => hub.hasListeners(row.groupId) || joined.has(row.groupId.toString('hex')));
  const groupIds = [...new Map(wanted.map((row) => [row.groupId.toString('hex'), row.groupId])).values()];
  const [{ events, openedRows }, entitlements] = await Promise.all([
    openEvents({ sql: deps.database.sql, privacy: deps.privacy }, wanted),
    readEntitlements({ db: deps.database.db, privacy: deps.privacy }, [...hub.listenersOf(groupIds), ...joiners]),
  ]);
  // Rows whose messages did not fit into the batch are read again with the next batch.
  const upTo = openedRows < wanted.length ? required(wanted[openedRows - 1], 'an opened row') : last;
  hub.dispatch({ events, entitlements, upTo }, (event) => eventFrame(deps.codec, event));
  return { found: true, isHeld };
}

/** Returns the subscribers of this server who join a conversation in these rows. */
function listenersAmongJoiners(deps: TailDeps, rows: readonly EventRow[]): Listener[] {
  return rows.flatMap((row) => {
    const did = row.kind === eventKinds.joined ? personOf(deps.privacy, row) : undefined;
    return did !== undefined && deps.hub.hasPerson(did) ? [{ groupId: row.groupId, did }] : [];
  });
}

function refuseEncoding(): never {
  throw new TypeError('there is nothing to encode');
}
