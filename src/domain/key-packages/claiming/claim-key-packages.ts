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
import { readUses } from './used-packages.ts';

type ClaimDeps = VisibilityDeps & {
  readonly sql: Sql;
  readonly timeBucketSeconds: number;
  readonly claimLimit: ClaimLimit;
  /** Called with the people whose one-time packages have left the stock. */
  readonly onClaims: (ownerDids: ReadonlySet<string>) => void;
};

/**
 * One package per device of each person, each package to this caller for good; the same caller asking again within ten
 * minutes gets the same ones. Where the drain budget of a person is used up, their last-resort packages are handed out.
 * `missing` names people of whom nothing is left; people who have opted out or block the caller are among them, as if they
 * were never here.
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
  const shown = dids.filter((did) => !hidden.has(did));
  // Made-up DIDs have no packages to drain, and must not crowd the budgets of people who have.
  const accounts = shown.filter((did) => settings.has(did));
  const { packages, drained } = await claimWithinLimit(deps.claimLimit, caller, accounts, (spent) =>
    claimOfPeople(deps, caller, { dids: shown, spent, cipherSuite }),
  );
  deps.onClaims(drained);
  const served = new Set(packages.map(({ did }) => did));
  return { packages, missing: dids.filter((did) => !served.has(did)) };
}

async function claimOfPeople(
  deps: ClaimDeps,
  caller: Caller,
  request: { dids: readonly string[]; spent: ReadonlySet<string>; cipherSuite: number },
): Promise<{ packages: HandedOutKeyPackage[]; drained: ReadonlySet<string> }> {
  const { privacy } = deps;
  const people = request.dids.map((did) => ({ did, owner: keyPackageOwner(privacy, did) }));
  const didOf = new Map(people.map(({ did, owner }) => [owner.toString('hex'), did]));
  const rows = await claimUnused(deps, {
    owners: people.map(({ owner }) => owner),
    claimers: people.map(({ owner }) => keyPackageClaimer(privacy, owner, caller.did)),
    inBudget: people.map(({ did }) => !request.spent.has(did)),
    cipherSuite: request.cipherSuite,
    devicesMax: limits.devicesPerClaimMax,
    bucketSeconds: deps.timeBucketSeconds,
  });
  const claimed = rows.map((row) => ({
    did: required(didOf.get(row.owner.toString('hex')), 'the owner of a claimed package'),
    opened: openKeyPackage(privacy, { ...row, cipherSuite: request.cipherSuite }),
    fresh: row.fresh,
  }));
  return {
    packages: claimed.map(({ did, opened }) => ({ did, ...opened })),
    drained: new Set(claimed.filter(({ fresh }) => fresh).map(({ did }) => did)),
  };
}

/**
 * A package that the caller got within the last ten minutes is given again, unless they have used it. That it was used its row does
 * not say at once; where it was, the claim is made again without such packages.
 */
async function claimUnused(deps: ClaimDeps, request: Omit<ClaimRequest, 'used'>): Promise<ClaimedRow[]> {
  const rows = await claim(deps.sql, { ...request, used: [] });
  const repeated = rows.filter(({ fresh }) => !fresh).map(({ ref }) => ref);
  const staleUses = await readUses(deps, repeated);
  if (staleUses.length === 0) return rows;
  const uses = await readUses(deps, await selectHandedOut(deps.db, request));
  const again = await claim(deps.sql, { ...request, used: uses.map(({ ref }) => ref) });
  const drained = new Set(rows.filter(({ fresh }) => fresh).map(({ ref }) => ref.toString('hex')));
  return again.map((row) => (drained.has(row.ref.toString('hex')) ? { ...row, fresh: true } : row));
}
