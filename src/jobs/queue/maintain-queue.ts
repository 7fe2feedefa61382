import type { Clock } from '#platform/clock.ts';
import type { DatabaseState } from '../database-state.ts';
import type { JobQueue } from './queue.ts';

export interface QueueMaintenanceDeps {
  readonly queue: Pick<JobQueue, 'repairSchedules' | 'pause' | 'resume'>;
  readonly readState: () => Promise<DatabaseState>;
  readonly clock: Clock;
  readonly intervalMs: number;
  /** Called each time the database can be read. */
  readonly observe: () => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/**
 * Maintains the queue while a worker runs. While the clocks differ, the worker takes no job: BullMQ uses the worker's
 * clock, and one that is a day ahead would delay every schedule by a day. While they agree, missing schedules (lost by
 * Redis) and schedules too far ahead (written with a wrong clock) are written again.
 */
export function startQueueMaintenance(deps: QueueMaintenanceDeps): { stop(): Promise<void> } {
  const { queue, clock } = deps;
  const stopping = new AbortController();
  const maintain = async (): Promise<void> => {
    const state = await deps.readState();
    if ('unfit' in state && state.unfit === 'clock') return queue.pause();
    queue.resume();
    if (!('unfit' in state)) await queue.repairSchedules(state.nowMs);
    await deps.observe();
  };
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await maintain().catch(deps.onError);
      await clock.sleep(deps.intervalMs, stopping.signal);
    }
  };
  const ended = loop();
  return {
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}
