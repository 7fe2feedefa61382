import { readConversationList } from '#domain/accounts/read-conversation-list.ts';
import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { findOwnKeyPackage } from '#domain/key-packages/find-own-key-package.ts';
import { unpadFromBucket } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { parseWelcome } from './accept-welcome.ts';
import { listWelcomes } from './list-welcomes.ts';
import { selectWelcomeMessage } from './store.ts';
import type { WelcomeRow } from './store.ts';
import { welcomeStates } from './welcome.ts';

/**
 * Maximum number of pseudonyms that one call computes to find the Welcome. Computing 20,000 takes milliseconds, and
 * without a limit one call could use a second of the server's time.
 */
const comparisonsMax = 20_000;

interface ValidateDeps {
  readonly db: Db;
  readonly privacy: Privacy;
}

export interface ValidWelcome {
  /** The KeyPackageRef of the caller's package. */
  readonly ref: Buffer;
  /** Whether the package was handed out or is used by this Welcome. */
  readonly reserved: boolean;
}

/**
 * Checks whether the caller can join with this Welcome. The result shows nothing about other people's packages.
 * @throws AppError InvalidWelcome, KeyPackageNotFound, KeyPackageAlreadyConsumed; KeyPackageReserved when the package
 *   waits for another Welcome.
 */
export async function validateWelcome(deps: ValidateDeps, caller: Caller, bytes: Buffer): Promise<ValidWelcome> {
  const refs = parseWelcome(bytes).keyPackageRefs.map((ref) => Buffer.from(ref));
  // The waiting Welcomes of the caller are searched first, because their packages already count as consumed.
  const waiting = await findWaiting(deps, caller, refs);
  if (waiting !== undefined) {
    const stored = await loadWelcome(deps, waiting.welcome);
    if (stored?.equals(bytes) !== true) throw domainError('KeyPackageReserved');
    return { ref: waiting.ref, reserved: true };
  }
  const own = await findOwnKeyPackage(deps, caller, refs);
  if (own === undefined) throw domainError('KeyPackageNotFound');
  if (own.state === 'consumed') throw domainError('KeyPackageAlreadyConsumed');
  return { ref: own.ref, reserved: own.state === 'handedOut' };
}

async function findWaiting(
  deps: ValidateDeps,
  caller: Caller,
  refs: readonly Buffer[],
): Promise<{ welcome: WelcomeRow; ref: Buffer } | undefined> {
  const welcomes = await listWelcomes(deps, caller, await readConversationList(deps, caller.did));
  const waiting = welcomes.filter(({ state }) => state !== welcomeStates.consumed);
  for (const welcome of waiting.slice(0, Math.ceil(comparisonsMax / refs.length))) {
    const ref = refs.find((one) => deps.privacy.pseudonym('welcome-ref', [welcome.groupId], one).equals(welcome.ref));
    if (ref !== undefined) return { welcome, ref };
  }
  return undefined;
}

async function loadWelcome(deps: ValidateDeps, { groupId, epoch }: WelcomeRow): Promise<Buffer | undefined> {
  const sealed = await selectWelcomeMessage(deps.db, groupId, epoch);
  return sealed && unpadFromBucket(deps.privacy.unseal('welcome', [groupId, epoch], sealed));
}
