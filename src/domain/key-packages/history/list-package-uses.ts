import type { Caller } from '#domain/caller.ts';
import { cipherSuiteName } from '#mls/cipher-suites.ts';
import { required } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { keyPackageOwner, openKeyPackage } from '../key-package.ts';
import { openPackageCursor, sealPackageCursor } from './page-cursor.ts';
import { countByState, selectPackagePage } from './package-history-store.ts';
import type { PackagePageRow } from './package-history-store.ts';
import { selectHandedOut } from '../store.ts';
import { readDeferredUses } from '../single-use/used-key-packages-store.ts';
import type { DeferredUse } from '../single-use/used-key-packages-store.ts';

interface UsesDeps {
  readonly db: Db;
  readonly privacy: Privacy;
}

export interface PackagePage {
  readonly limit: number;
  readonly cursor: string | undefined;
  /** The tag of one of the caller's devices; undefined for all. */
  readonly deviceTag: Buffer | undefined;
}

/** One of the caller's packages; the conversation that used it is not stored. */
export interface PackageHistoryEntry {
  /** KeyPackageRef. */
  readonly ref: Buffer;
  readonly deviceTag: Buffer;
  readonly cipherSuite: string;
  readonly publishedAt: Date;
  /** The day (UTC) on which a Welcome used it. */
  readonly consumedAt: Date | undefined;
}

/** Counts of the caller's stored packages by state. */
export interface PackageCounts {
  readonly total: number;
  readonly available: number;
  readonly handedOut: number;
  readonly consumed: number;
}

/** Counts the caller's stored packages, of one device (by its tag) or all; deferred uses count as consumed. */
export async function countPackages(
  deps: UsesDeps,
  caller: Caller,
  deviceTag: Buffer | undefined,
): Promise<PackageCounts> {
  const owner = keyPackageOwner(deps.privacy, caller.did);
  const uses = await readOwnDeferredUses(deps, owner, deviceTag);
  const counts = await countByState(deps.db, owner, deviceTag);
  // Some deferred uses may have been written into package rows between the two reads.
  const moved = Math.min(uses.length, counts.handedOut);
  return { ...counts, handedOut: counts.handedOut - moved, consumed: counts.consumed + moved };
}

/** Lists the caller's consumed packages, the latest day first. @throws AppError InvalidCursor. */
export async function listConsumedPackages(
  deps: UsesDeps,
  caller: Caller,
  page: PackagePage,
): Promise<{ packages: PackageHistoryEntry[]; cursor: string | undefined }> {
  return listPage(deps, caller, page, 'consumed');
}

/** Lists all stored packages of the caller, the latest first. @throws AppError InvalidCursor. */
export async function listPackageHistory(
  deps: UsesDeps,
  caller: Caller,
  page: PackagePage,
): Promise<{ packages: PackageHistoryEntry[]; cursor: string | undefined }> {
  return listPage(deps, caller, page, 'published');
}

async function listPage(
  deps: UsesDeps,
  caller: Caller,
  page: PackagePage,
  order: 'consumed' | 'published',
): Promise<{ packages: PackageHistoryEntry[]; cursor: string | undefined }> {
  const { db, privacy } = deps;
  const owner = keyPackageOwner(privacy, caller.did);
  const rows = await selectPackagePage(db, {
    owner,
    deviceTag: page.deviceTag,
    order,
    uses: await readOwnDeferredUses(deps, owner, page.deviceTag),
    after: page.cursor === undefined ? undefined : openPackageCursor(privacy, caller, order, page.cursor),
    // One more row than the page shows whether there is another page.
    limit: page.limit + 1,
  });
  const shown = rows.slice(0, page.limit);
  const last = shown.at(-1);
  const hasMore = rows.length > page.limit && last !== undefined;
  return {
    packages: shown.map((row) => openEntry(privacy, row)),
    cursor: hasMore ? sealPackageCursor(privacy, caller, order, { at: last.at, ref: last.ref }) : undefined,
  };
}

/** Reads the deferred uses of the owner's packages. */
async function readOwnDeferredUses(
  deps: UsesDeps,
  owner: Buffer,
  deviceTag: Buffer | undefined,
): Promise<DeferredUse[]> {
  return readDeferredUses(deps, await selectHandedOut(deps.db, { owners: [owner], deviceTag }));
}

function openEntry(privacy: Privacy, row: PackagePageRow): PackageHistoryEntry {
  return {
    ref: openKeyPackage(privacy, row).ref,
    deviceTag: row.deviceTag,
    publishedAt: row.publishedAt,
    cipherSuite: required(cipherSuiteName(row.cipherSuite), 'the name of a stored cipher suite'),
    consumedAt: row.usedOn ?? undefined,
  };
}
