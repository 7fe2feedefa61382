import { readVisibility } from '#domain/blocks/read-visibility.ts';
import type { VisibilityDeps } from '#domain/blocks/read-visibility.ts';
import type { Caller } from '#domain/caller.ts';

import { refusalFor } from '#domain/refusal-reasons.ts';
import { cipherSuiteNumber } from '#mls/cipher-suites.ts';
import { required } from '#platform/errors.ts';
import { limits } from '#platform/limits.ts';
import type { Sql } from '#storage/connection/database.ts';
import { claimWithinLimit } from './claim-limit.ts';
import type { ClaimLimit } from './claim-limit.ts';
import { keyPackageClaimer, keyPackageOwner, openKeyPackage } from '../key-package.ts';
import type { HandedOutKeyPackage } from '../key-package.ts';
import { claim, selectHandedOut } from '../store.ts';
import type { ClaimedRow, ClaimRequest } from '../store.ts';
import { readDeferredUses } from '../single-use/used-key-packages-store.ts';

type ClaimDeps = VisibilityDeps & {
  readonly sql: Sql;
  readonly timeBucketSeconds: number;
  readonly claimLimit: ClaimLimit;
  /** Called with the people who have fewer available one-time packages because of the claim. */
  readonly onClaims: (ownerDids: ReadonlySet<string>) => void;
};

/**
 * Hands out one package for each device of each person. A one-time package goes to one caller only, who gets the same
 * package again from a repeated call within ten minutes.
 * @returns the packages, and in `missing` the people without an available package. People who have opted out or block
 *   the caller are also in `missing`, so that the caller cannot distinguish them.
 * @throws AppError InvalidCipherSuite.
 */
export async function claimKeyPackages(
  deps: ClaimDeps,
  caller: Caller,
  input: { dids: readonly string[]; cipherSuite: string },
): Promise<{ packages: HandedOutKeyPackage[]; missing: string[] }> {
  const cipherSuite = cipherSuiteNumber(input.cipherSuite);
  if (cipherSuite === undefined) throw refusalFor('InvalidCipherSuite', 'unknownName');
  const dids = [...new Set(input.dids)];
  const { hidden, settings } = await readVisibility(deps, caller, dids);
  const visible = dids.filter((did) => !hidden.has(did));
  // Only DIDs with an account are charged, so that invented DIDs cannot fill the table of claim limits.
  const accounts = visible.filter((did) => settings.has(did));
  // For a person whose claim limit is exhausted, only last-resort packages are handed out.
  const { packages, charged } = await claimWithinLimit(deps.claimLimit, caller, accounts, (exhausted) =>
    claimForPeople(deps, caller, { dids: visible, exhausted, cipherSuite }),
  );
  deps.onClaims(charged);
  const found = new Set(packages.map(({ did }) => did));
  return { packages, missing: dids.filter((did) => !found.has(did)) };
}

async function claimForPeople(
  deps: ClaimDeps,
  caller: Caller,
  request: { dids: readonly string[]; exhausted: ReadonlySet<string>; cipherSuite: number },
): Promise<{ packages: HandedOutKeyPackage[]; charged: ReadonlySet<string> }> {
  const { privacy } = deps;
  const people = request.dids.map((did) => ({ did, owner: keyPackageOwner(privacy, did) }));
  const didOf = new Map(people.map(({ did, owner }) => [owner.toString('hex'), did]));
  const rows = await claimUnused(deps, {
    owners: people.map(({ owner }) => owner),
    claimers: people.map(({ owner }) => keyPackageClaimer(privacy, owner, caller.did)),
    isWithinLimit: people.map(({ did }) => !request.exhausted.has(did)),
    cipherSuite: request.cipherSuite,
    devicesMax: limits.devicesPerClaimMax,
    bucketSeconds: deps.timeBucketSeconds,
  });
  const claimed = rows.map((row) => ({
    did: required(didOf.get(row.owner.toString('hex')), 'the owner of a claimed package'),
    opened: openKeyPackage(privacy, { ...row, cipherSuite: request.cipherSuite }),
    isNewClaim: row.isNewClaim,
  }));
  return {
    packages: claimed.map(({ did, opened }) => ({ did, ...opened })),
    charged: new Set(claimed.filter(({ isNewClaim }) => isNewClaim).map(({ did }) => did)),
  };
}

/**
 * Claims packages, and returns a package again if the caller got it within the last ten minutes and it is still unused.
 * If a returned package has a deferred use, the claim is repeated without the used packages, because package rows do
 * not show deferred uses.
 */
async function claimUnused(deps: ClaimDeps, request: Omit<ClaimRequest, 'used'>): Promise<ClaimedRow[]> {
  const rows = await claim(deps.sql, { ...request, used: [] });
  const repeated = rows.filter(({ isNewClaim }) => !isNewClaim).map(({ ref }) => ref);
  const deferredUses = await readDeferredUses(deps, repeated);
  if (deferredUses.length === 0) return rows;
  const uses = await readDeferredUses(deps, await selectHandedOut(deps.db, request));
  const secondClaim = await claim(deps.sql, { ...request, used: uses.map(({ ref }) => ref) });
  const newClaims = new Set(rows.filter(({ isNewClaim }) => isNewClaim).map(({ ref }) => ref.toString('hex')));
  return secondClaim.map((row) => (newClaims.has(row.ref.toString('hex')) ? { ...row, isNewClaim: true } : row));
}
