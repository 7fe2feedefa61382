import { createHmac } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { sql } from 'kysely';
import type { KeyRing } from '#privacy/key-ring.ts';
import { bucketedNow } from '../sql/bucketed-now.ts';
import type { Db } from '../connection/database.ts';
import type { ExpiringRows } from '../expiry/expiring-rows.ts';

/**
 * A command of an operator and its object, both from closed lists (`src/ops/operator-actions.ts`). A person is never
 * stored as the object.
 */
export interface OperatorAction {
  readonly action: string;
  readonly subject: string;
}

/** An operator action with its number and time in the hash chain. */
export interface RecordedAction extends OperatorAction {
  readonly actionNo: number;
  readonly takenAt: Date;
}

interface Link extends RecordedAction {
  readonly keyId: number;
  readonly previousDigest: Buffer;
  readonly digest: Buffer;
}

/** Reports whether the hash chain of operator actions is intact. */
export interface ChainReport {
  readonly count: number;
  /**
   * Numbers of the first and last action. An operator who notes the last number can later detect that the newest
   * actions were removed.
   */
  readonly firstNo: number | undefined;
  readonly lastNo: number | undefined;
  /** Numbers of actions that were changed, or that do not follow the previous action. */
  readonly broken: readonly number[];
  /** Numbers of actions that cannot be verified, because their key is not in the ring. */
  readonly uncheckable: readonly number[];
}

const timeBucketSeconds = 60;
const readMax = 10_000;
const pageRows = 1_000;
const keyUse = 'audit/operator-actions';
const noDigest = Buffer.alloc(0);

/** Appends an action to the hash chain. Concurrent calls run one after another. */
export async function appendOperatorAction(deps: { db: Db; ring: KeyRing }, action: OperatorAction): Promise<void> {
  const { db, ring } = deps;
  await db.transaction().execute(async (tx) => {
    // The lock prevents two callers from appending to the same last entry.
    await sql`LOCK TABLE operator_actions IN SHARE ROW EXCLUSIVE MODE`.execute(tx);
    const last = await tx
      .selectFrom('operator_actions')
      .select(['action_no as actionNo', 'digest'])
      .orderBy('action_no', 'desc')
      .limit(1)
      .executeTakeFirst();
    const { takenAt } = await tx.selectNoFrom(bucketedNow(timeBucketSeconds).as('takenAt')).executeTakeFirstOrThrow();
    const link = {
      ...action,
      actionNo: (last?.actionNo ?? 0) + 1,
      takenAt,
      keyId: ring.current.id,
      previousDigest: last?.digest ?? noDigest,
    };
    await tx
      .insertInto('operator_actions')
      .values({
        action_no: link.actionNo,
        taken_at: takenAt,
        action: link.action,
        subject: link.subject,
        key_id: link.keyId,
        previous_digest: link.previousDigest,
        digest: digestOf(ring.current.derive(keyUse), link),
      })
      .execute();
  });
}

/** Reads the actions of the last `sinceSeconds` seconds, oldest first. Reads only the newest 10,000 actions. */
export async function readOperatorActions(db: Db, sinceSeconds: number): Promise<RecordedAction[]> {
  const rows = await db
    .selectFrom('operator_actions')
    .select(['action_no as actionNo', 'taken_at as takenAt', 'action', 'subject'])
    .where('taken_at', '>=', sql<Date>`now() - make_interval(secs => ${sinceSeconds})`)
    .orderBy('action_no', 'desc')
    .limit(readMax)
    .execute();
  return rows.toReversed();
}

/**
 * Verifies the digest of every action, and that each action follows the previous one. The chain may begin after action
 * 1, because retention removes old actions.
 */
export async function verifyOperatorActions(deps: { db: Db; ring: KeyRing }): Promise<ChainReport> {
  const broken: number[] = [];
  const uncheckable: number[] = [];
  let count = 0;
  let firstNo: number | undefined;
  let last: Link | undefined;
  for await (const link of linksOf(deps.db)) {
    const key = deps.ring.byId(link.keyId)?.derive(keyUse);
    if (key === undefined) uncheckable.push(link.actionNo);
    else if (!digestOf(key, link).equals(link.digest) || !follows(link, last)) broken.push(link.actionNo);
    firstNo ??= link.actionNo;
    last = link;
    count += 1;
  }
  return { count, firstNo, lastNo: last?.actionNo, broken, uncheckable };
}

/**
 * Selects the actions that are older than `ttlDays` days. The newest action always remains, so that the numbers
 * continue.
 */
export function oldOperatorActions(ttlDays: number): ExpiringRows {
  const keptFor = sql`make_interval(days => ${ttlDays}::integer)`;
  const isFollowed = sql<boolean>`action_no < (SELECT max(newest.action_no) FROM operator_actions newest)`;
  return {
    table: 'operator_actions',
    isExpired: sql<boolean>`taken_at < now() - ${keptFor} AND ${isFollowed}`,
    first: [{ at: sql`min(taken_at)`, among: isFollowed, keptFor }],
  };
}

function follows(link: Link, previous: Link | undefined): boolean {
  if (previous === undefined) return link.actionNo > 1 || link.previousDigest.length === 0;
  return link.actionNo === previous.actionNo + 1 && link.previousDigest.equals(previous.digest);
}

async function* linksOf(db: Db): AsyncGenerator<Link> {
  let afterNo = 0;
  for (;;) {
    const page = await db
      .selectFrom('operator_actions')
      .select([
        'action_no as actionNo',
        'taken_at as takenAt',
        'action',
        'subject',
        'key_id as keyId',
        'previous_digest as previousDigest',
        'digest',
      ])
      .where('action_no', '>', afterNo)
      .orderBy('action_no')
      .limit(pageRows)
      .execute();
    yield* page;
    const lastOfPage = page.at(-1);
    if (lastOfPage === undefined || page.length < pageRows) return;
    afterNo = lastOfPage.actionNo;
  }
}

/** Computes the digest of an entry as JSON, which separates the fields unambiguously. */
function digestOf(key: KeyObject, link: Omit<Link, 'digest'>): Buffer {
  const { actionNo, takenAt, action, subject, keyId, previousDigest } = link;
  const text = JSON.stringify([
    actionNo,
    takenAt.toISOString(),
    action,
    subject,
    keyId,
    previousDigest.toString('hex'),
  ]);
  return createHmac('sha256', key).update(text).digest();
}
