import type { Clock } from '#platform/clock.ts';
import type { DatabaseState } from '../database-state.ts';
import type { JobQueue } from './queue.ts';

export interface QueueMaintenanceDeps {
  readonly queue: Pick<JobQueue, 'repairSchedules' | 'pause' | 'resume'>;
  readonly readState: () => Promise<DatabaseState>;
  readonly clock: Clock;
  readonly intervalMs: number;
  /** Updates the metrics of the jobs, unless the database's clock is wrong. */
  readonly observe: () => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/**
 * Repairs the schedules of the queue at each interval, because Redis may lose them and a wrong clock may write them too
 * far ahead. While the clocks differ, the worker takes no job, because BullMQ schedules by the worker's clock, and a
 * clock that is a day ahead would delay every job by a day.
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
