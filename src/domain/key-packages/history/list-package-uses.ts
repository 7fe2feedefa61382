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

/**
 * A package in the caller's history. It names no conversation, because the server does not store which conversation
 * used a package.
 */
export interface PackageHistoryEntry {
  /** The KeyPackageRef (RFC 9420 section 5.2). */
  readonly ref: Buffer;
  readonly deviceTag: Buffer;
  readonly cipherSuite: string;
  readonly publishedAt: Date;
  /** The day (UTC) on which a Welcome used the package. */
  readonly consumedAt: Date | undefined;
}

/** Numbers of the caller's stored packages by state. A package with a deferred use counts as consumed. */
export interface PackageCounts {
  readonly total: number;
  readonly available: number;
  readonly handedOut: number;
  readonly consumed: number;
}

/** Counts the caller's stored packages by state, for all devices or for the device with `deviceTag`. */
export async function countPackages(
  deps: UsesDeps,
  caller: Caller,
  deviceTag: Buffer | undefined,
): Promise<PackageCounts> {
  const owner = keyPackageOwner(deps.privacy, caller.did);
  const uses = await readOwnDeferredUses(deps, owner, deviceTag);
  const counts = await countByState(deps.db, owner, deviceTag);
  // Limited to `handedOut`, because some deferred uses may have been written into package rows between the two reads.
  const moved = Math.min(uses.length, counts.handedOut);
  return { ...counts, handedOut: counts.handedOut - moved, consumed: counts.consumed + moved };
}

/** Lists the caller's consumed packages, the latest day of use first. @throws AppError InvalidCursor. */
export async function listConsumedPackages(
  deps: UsesDeps,
  caller: Caller,
  page: PackagePage,
): Promise<{ packages: PackageHistoryEntry[]; cursor: string | undefined }> {
  return listPage(deps, caller, page, 'consumed');
}

/** Lists all stored packages of the caller, the latest published first. @throws AppError InvalidCursor. */
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
    // Reads one extra row to find out whether there is another page.
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
