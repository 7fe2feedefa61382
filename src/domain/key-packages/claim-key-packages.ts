import { readVisibility } from '#domain/blocks/read-visibility.ts';
import type { VisibilityDeps } from '#domain/blocks/read-visibility.ts';
import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { cipherSuiteNumber } from '#mls/cipher-suites.ts';
import { required } from '#platform/errors.ts';
import { limits } from '#platform/limits.ts';
import { unpadFromBucket } from '#privacy/buckets.ts';
import type { Sql } from '#storage/database.ts';
import { keyPackageClaimer, keyPackageOwner } from './key-package.ts';
import type { HandedOutKeyPackage } from './key-package.ts';
import { claim } from './store.ts';

/**
 * One package per device of each person, each package to this caller for good; the same caller asking again within ten
 * minutes gets the same ones. `missing` names people of whom nothing is left; people who have opted out or block the caller
 * are among them, as if they were never here.
 * @throws AppError InvalidCipherSuite.
 */
export async function claimKeyPackages(
  deps: VisibilityDeps & { readonly sql: Sql; readonly timeBucketSeconds: number },
  caller: Caller,
  input: { dids: readonly string[]; cipherSuite: string },
): Promise<{ packages: HandedOutKeyPackage[]; missing: string[] }> {
  const { privacy } = deps;
  const cipherSuite = cipherSuiteNumber(input.cipherSuite);
  if (cipherSuite === undefined) throw domainError('InvalidCipherSuite');
  const dids = [...new Set(input.dids)];
  const { hidden } = await readVisibility(deps, caller, dids);
  const shown = dids.filter((did) => !hidden.has(did));
  const owners = shown.map((did) => keyPackageOwner(privacy, did));
  const didOf = new Map(owners.map((owner, index) => [owner.toString('hex'), shown[index]]));
  const rows = await claim(deps.sql, {
    owners,
    claimers: owners.map((owner) => keyPackageClaimer(privacy, owner, caller.did)),
    cipherSuite,
    devicesMax: limits.devicesPerClaimMax,
    bucketSeconds: deps.timeBucketSeconds,
  });
  const packages = rows.map((row) => ({
    did: required(didOf.get(row.owner.toString('hex')), 'the owner of a claimed package'),
    ref: row.ref,
    keyPackage: unpadFromBucket(privacy.unseal('key-package', [row.ref], row.sealedPackage)),
  }));
  const served = new Set(packages.map(({ did }) => did));
  return { packages, missing: dids.filter((did) => !served.has(did)) };
}
