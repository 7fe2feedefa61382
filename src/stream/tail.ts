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
  /** Something was written: look now. */
  ring(): void;
  /** Attaches the subscription between two batches. @returns the place from which on it hears everything. */
  admit(subscription: Subscription): Promise<LogPosition>;
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
/** Looks of the tail are at least this far apart, so that busy moments are read in batches. */
const pauseMs = 3;
/** After a ring the written events may still be held back: look again this often before falling back to the slow poll. */
const quickLooksMax = 15;
const slowPollMs = 500;
/** While writers hold something back: one that rolls back rings nobody. Nor are the locks of writers read more often than this. */
const heldPollMs = 25;
const errorPauseMs = 250;

interface Admission {
  readonly subscription: Subscription;
  readonly resolve: (place: LogPosition) => void;
}

/** Starts reading at the present end of the log. */
export function startTail(deps: TailDeps): Tail {
  let isStopping = false;
  let wake = (): void => undefined;
  let quickLooks = 0;
  const gaps = gapsOf(deps.clock);
  let admissions: Admission[] = [];

  function ring(): void {
    // Nobody listens: the slow poll is enough to know where the log ends.
    if (deps.hub.size === 0) return;
    quickLooks = quickLooksMax;
    wake();
  }

  async function rest(longestMs: number): Promise<void> {
    const waking = new AbortController();
    wake = () => waking.abort();
    await deps.clock.sleep(longestMs, waking.signal);
    wake = () => undefined;
  }

  function takeAdmissions(): void {
    for (const { subscription, resolve } of admissions) {
      deps.hub.attach(subscription);
      resolve(deps.hub.place);
    }
    admissions = [];
  }

  async function run(): Promise<void> {
    while (!isStopping) {
      try {
        const seen = await step(deps, gaps.next(), takeAdmissions);
        gaps.note(seen);
        quickLooks = seen.found ? quickLooksMax : Math.max(0, quickLooks - 1);
        await deps.clock.sleep(pauseMs);
        if (quickLooks === 0 && admissions.length === 0 && !isStopping)
          await rest(gaps.isHeld ? heldPollMs : slowPollMs);
      } catch (error) {
        deps.onError(error);
        await rest(errorPauseMs);
      }
    }
  }

  const running = run();
  return {
    ring,
    admit: (subscription) =>
      new Promise((resolve) => {
        admissions.push({ subscription, resolve });
        ring();
      }),
    async stop() {
      isStopping = true;
      wake();
      await running;
    },
  };
}

/** What a look came to. `isHeld`: positions were taken of which it found no events. */
interface Seen {
  readonly found: boolean;
  readonly isHeld: boolean;
}

/** Says at which looks to find out whether a gap is one that nobody fills: not at the first, nor more often than every `heldPollMs`. */
function gapsOf(clock: Clock): { readonly isHeld: boolean; next(): 'pass' | 'await'; note(seen: Seen): void } {
  let isHeld = false;
  let passedMs = 0;
  return {
    get isHeld() {
      return isHeld;
    },
    next() {
      if (!isHeld || clock.monotonicMs() - passedMs < heldPollMs) return 'await';
      passedMs = clock.monotonicMs();
      return 'pass';
    },
    note(seen) {
      isHeld = seen.isHeld && !seen.found;
    },
  };
}

/**
 * One batch. Subscriptions are attached after the rows are read and before anything is awaited again, so whoever is attached
 * at `hub.place` gets exactly the rows behind it; joins and leaves take effect in the order of the log.
 */
async function step(deps: TailDeps, gaps: 'pass' | 'await', takeAdmissions: () => void): Promise<Seen> {
  const { hub } = deps;
  if (hub.size === 0) {
    const place = await readLogEnd(deps.database);
    if (hub.size === 0) hub.dispatch({ events: [], entitlements: new Map(), upTo: place }, refuseEncoding);
    return { found: false, isHeld: false };
  }
  const { events: rows, isHeld } = await readTail(deps.database, hub.place, { limit: batchRowsMax, gaps });
  takeAdmissions();
  const last = rows.at(-1);
  if (last === undefined) return { found: false, isHeld };
  const joiners = listenersAmongJoiners(deps, rows);
  const joined = new Set(joiners.map(({ groupId }) => groupId.toString('hex')));
  const wanted = rows.filter((row) => hub.listensTo(row.groupId) || joined.has(row.groupId.toString('hex')));
  const groupIds = [...new Map(wanted.map((row) => [row.groupId.toString('hex'), row.groupId])).values()];
  const [{ events, openedRows }, entitlements] = await Promise.all([
    openEvents({ sql: deps.database.sql, privacy: deps.privacy }, wanted),
    readEntitlements({ db: deps.database.db, privacy: deps.privacy }, [...hub.listenersOf(groupIds), ...joiners]),
  ]);
  // What did not fit is read again with the next batch, from the last place that was opened.
  const upTo = openedRows < wanted.length ? required(wanted[openedRows - 1], 'an opened row') : last;
  hub.dispatch({ events, entitlements, upTo }, (event) => eventFrame(deps.codec, event));
  return { found: true, isHeld };
}

/** People who are added to a conversation in these rows and listen on this server. */
function listenersAmongJoiners(deps: TailDeps, rows: readonly EventRow[]): Listener[] {
  return rows.flatMap((row) => {
    const did = row.kind === eventKinds.joined ? personOf(deps.privacy, row) : undefined;
    return did !== undefined && deps.hub.hasPerson(did) ? [{ groupId: row.groupId, did }] : [];
  });
}

function refuseEncoding(): never {
  throw new TypeError('there is nothing to encode');
}
