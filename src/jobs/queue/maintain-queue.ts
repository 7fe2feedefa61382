import type { Clock } from '#platform/clock.ts';
import type { DatabaseState } from '../database-state.ts';
import type { JobQueue } from './queue.ts';

export interface QueueMaintenanceDeps {
  readonly queue: Pick<JobQueue, 'mendSchedules' | 'rest' | 'resume'>;
  readonly readState: () => Promise<DatabaseState>;
  readonly clock: Clock;
  readonly intervalMs: number;
  /** Called each time that the database can be read. */
  readonly observe: () => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/**
 * Looks after the queue for as long as a worker runs. While the clocks disagree the worker takes no job: BullMQ reckons with the
 * worker's clock, and one that is a day ahead would put every schedule off by a day. While they agree, schedules that are
 * missing (Redis lost them) or lie too far ahead (somebody's clock was wrong) are written anew.
 */
export function startQueueMaintenance(deps: QueueMaintenanceDeps): { stop(): Promise<void> } {
  const { queue, clock } = deps;
  const stopping = new AbortController();
  const tend = async (): Promise<void> => {
    const state = await deps.readState();
    if ('unfit' in state && state.unfit === 'clock') return queue.rest();
    queue.resume();
    if (!('unfit' in state)) await queue.mendSchedules(state.nowMs);
    await deps.observe();
  };
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await tend().catch(deps.onError);
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
