import type { Caller } from '#domain/caller.ts';
import { cipherSuiteName } from '#mls/cipher-suites.ts';
import { required } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { keyPackageOwner, openKeyPackage } from '../key-package.ts';
import { openPackageCursor, sealPackageCursor } from './page-cursor.ts';
import { countByState, selectPackagePage } from './package-pages.ts';
import type { PackagePageRow } from './package-pages.ts';
import { selectHandedOut } from '../store.ts';
import { readUses } from '../claiming/used-packages.ts';
import type { PackageUsed } from '../claiming/used-packages.ts';

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

/** What is known of one of the caller's packages; which conversation used it is not stored. */
export interface PackageUse {
  /** KeyPackageRef. */
  readonly ref: Buffer;
  readonly deviceTag: Buffer;
  readonly cipherSuite: string;
  readonly publishedAt: Date;
  /** The day, if a Welcome used it. */
  readonly consumedAt: Date | undefined;
}

/** The caller's packages that are still stored, by what has become of them. */
export interface PackageCounts {
  readonly total: number;
  readonly available: number;
  readonly handedOut: number;
  readonly consumed: number;
}

export async function countPackages(
  deps: UsesDeps,
  caller: Caller,
  deviceTag: Buffer | undefined,
): Promise<PackageCounts> {
  const owner = keyPackageOwner(deps.privacy, caller.did);
  const uses = await readUnsettled(deps, owner, deviceTag);
  const counts = await countByState(deps.db, owner, deviceTag);
  // Some of them may have been settled in between.
  const moved = Math.min(uses.length, counts.handedOut);
  return { ...counts, handedOut: counts.handedOut - moved, consumed: counts.consumed + moved };
}

/** Consumed packages, the latest day first. @throws AppError InvalidCursor. */
export async function listConsumedPackages(
  deps: UsesDeps,
  caller: Caller,
  page: PackagePage,
): Promise<{ packages: PackageUse[]; cursor: string | undefined }> {
  return listPage(deps, caller, page, 'consumed');
}

/** All packages that are still stored, the latest first. @throws AppError InvalidCursor. */
export async function listPackageHistory(
  deps: UsesDeps,
  caller: Caller,
  page: PackagePage,
): Promise<{ packages: PackageUse[]; cursor: string | undefined }> {
  return listPage(deps, caller, page, 'published');
}

async function listPage(
  deps: UsesDeps,
  caller: Caller,
  page: PackagePage,
  order: 'consumed' | 'published',
): Promise<{ packages: PackageUse[]; cursor: string | undefined }> {
  const { db, privacy } = deps;
  const owner = keyPackageOwner(privacy, caller.did);
  const rows = await selectPackagePage(db, {
    owner,
    deviceTag: page.deviceTag,
    order,
    uses: await readUnsettled(deps, owner, page.deviceTag),
    after: page.cursor === undefined ? undefined : openPackageCursor(privacy, caller, order, page.cursor),
    // One more than is shown tells whether there is another page.
    limit: page.limit + 1,
  });
  const shown = rows.slice(0, page.limit);
  const last = shown.at(-1);
  const hasMore = rows.length > page.limit && last !== undefined;
  return {
    packages: shown.map((row) => packageUse(privacy, row)),
    cursor: hasMore ? sealPackageCursor(privacy, caller, order, { at: last.at, ref: last.ref }) : undefined,
  };
}

/** The owner's packages that are used although their rows do not say so yet. */
async function readUnsettled(deps: UsesDeps, owner: Buffer, deviceTag: Buffer | undefined): Promise<PackageUsed[]> {
  return readUses(deps, await selectHandedOut(deps.db, { owners: [owner], deviceTag }));
}

function packageUse(privacy: Privacy, row: PackagePageRow): PackageUse {
  return {
    ref: openKeyPackage(privacy, row).ref,
    deviceTag: row.deviceTag,
    publishedAt: row.publishedAt,
    cipherSuite: required(cipherSuiteName(row.cipherSuite), 'the name of a stored cipher suite'),
    consumedAt: row.usedOn ?? undefined,
  };
}
