import { takeTurn } from '#jobs/take-turn.ts';
import { openTurn } from '#jobs/turn.ts';
import type { JobTurn } from '#jobs/turn.ts';
import { systemClock } from '#platform/clock.ts';
import type { Database } from '#storage/database.ts';

/** A turn as a worker would have it, without its schedule. */
export async function holdTurn(database: Database): Promise<JobTurn> {
  const taken = await takeTurn(database.sql, { job: 'test', leaseMs: 0 });
  if ('refused' in taken) throw new Error(taken.refused);
  return openTurn({ database, clock: systemClock }, { job: 'test', fence: taken.fence, budgetMs: 60_000 });
}
