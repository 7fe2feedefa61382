import { readVisibility } from '#domain/blocks/read-visibility.ts';
import type { VisibilityDeps } from '#domain/blocks/read-visibility.ts';
import type { Caller } from '#domain/caller.ts';

export interface OptInStatus {
  readonly did: string;
  readonly optedIn: boolean;
  /** Time of the opt-in, present only for the caller. */
  readonly optedInAt: Date | undefined;
}

/**
 * Returns which of `dids` have opted in to MLS chats. People who have opted out, who block the caller or who have no
 * account look the same.
 */
export async function listOptIns(
  deps: VisibilityDeps,
  caller: Caller,
  dids: readonly string[],
): Promise<OptInStatus[]> {
  const people = [...new Set(dids)];
  const { settings } = await readVisibility(deps, caller, people);
  return people.map((did) => {
    const optIn = settings.get(did)?.optIn;
    const optedIn = optIn?.choice === 'in';
    return { did, optedIn, optedInAt: optedIn && did === caller.did ? new Date(optIn.sinceMs) : undefined };
  });
}
