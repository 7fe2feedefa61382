import { removeExpiredRows } from '#storage/expiring-rows.ts';
import type { ExpiringRows } from '#storage/expiring-rows.ts';
import type { JobTurn } from './turn.ts';

/** Removes what may go of each kind, in short transactions. @throws TurnLostError */
export async function removeExpired(turn: JobTurn, kinds: readonly ExpiringRows[]): Promise<{ removed: number }> {
  let removed = 0;
  for (const kind of kinds) removed += await turn.inBatches((tx, rowsMax) => removeExpiredRows(tx, kind, rowsMax));
  return { removed };
}
