import cluster from 'node:cluster';
import type { Worker } from 'node:cluster';
import { once } from 'node:events';
import type { Clock } from '#platform/clock.ts';
import { jitter } from '#platform/jitter.ts';
import type { Logger } from '#platform/logging/logger.ts';
import type { MetricSamples } from '#platform/metrics/metrics.ts';
import { ProcessStartError } from '#platform/process/process-start-error.ts';
import { readMetricsOf, whenListening } from './process-messages.ts';
import type { Listening } from './process-messages.ts';

export interface SupervisorDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The environment of each process, secrets included. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Called when a process that replaces an ended one cannot start because the configuration is wrong. */
  readonly onGiveUp: (error: ProcessStartError) => void;
}

/** The server processes of this parent. Their number is that of the cluster, which no later process gets again. */
export interface Supervisor {
  /**
   * Starts processes, and resolves when all listen. From then on each process that ends is replaced.
   * @throws ProcessStartError when one ends before it listens.
   */
  start(count: number): Promise<Listening>;
  /** Reads the metrics of every process that responds within a second. */
  readMetrics(): Promise<readonly MetricSamples[]>;
  /**
   * Sends SIGTERM to every process and waits until they have ended; sends SIGKILL when `signal` aborts.
   * @throws Error when a process did not end with exit code 0.
   */
  stop(signal: AbortSignal): Promise<void>;
}

interface Started {
  readonly worker: Worker;
  readonly listening: Listening;
  /** Resolves with the exit code, and with 1 for a process that a signal ended. */
  readonly ended: Promise<number>;
}

const restartMsMin = 200;
const restartMsMax = 30_000;
/** After this time a process that ends is replaced without a longer delay. */
const stableMs = 60_000;
const configurationExitCode = 78;

export function superviseProcesses(deps: SupervisorDeps): Supervisor {
  const { clock, logger } = deps;
  const stopping = new AbortController();
  const workers = new Set<Worker>();

  async function startOne(): Promise<Started> {
    const startedMs = clock.monotonicMs();
    const worker = cluster.fork(deps.env);
    workers.add(worker);
    const ended = once(worker, 'exit').then(([exitCode]) => {
      workers.delete(worker);
      return (exitCode as number | null) ?? 1;
    });
    const listening = new Promise<Listening>((resolve) => whenListening(worker, resolve));
    const first = await Promise.race([listening, ended]);
    if (typeof first === 'number') throw new ProcessStartError(first);
    logger.log('process_started', { process: worker.id, startupMs: clock.monotonicMs() - startedMs });
    return { worker, listening: first, ended };
  }

  /** Replaces the process each time it ends, after a delay that doubles while processes end soon after their start. */
  async function keepRunning(first: Started): Promise<void> {
    let current: Started | undefined = first;
    for (let restartMs = restartMsMin; current !== undefined; restartMs = Math.min(2 * restartMs, restartMsMax)) {
      const listeningMs = clock.monotonicMs();
      const exitCode = await current.ended;
      if (clock.monotonicMs() - listeningMs > stableMs) restartMs = restartMsMin;
      current = await replace({ process: current.worker.id, exitCode, restartMs });
    }
  }

  /** Resolves with undefined when the processes are stopped or the configuration is wrong. */
  async function replace(ended: {
    process: number;
    exitCode: number;
    restartMs: number;
  }): Promise<Started | undefined> {
    for (let restartMs = ended.restartMs; !stopping.signal.aborted; restartMs = Math.min(2 * restartMs, restartMsMax)) {
      const delayMs = restartMs * jitter();
      logger.log('process_ended', { ...ended, restartMs: delayMs });
      await clock.sleep(delayMs, stopping.signal);
      if (stopping.signal.aborted) return undefined;
      try {
        return await startOne();
      } catch (error) {
        if (!(error instanceof ProcessStartError)) throw error;
        if (error.exitCode !== configurationExitCode) continue;
        deps.onGiveUp(error);
        return undefined;
      }
    }
    return undefined;
  }

  return {
    async start(count) {
      // The first process starts alone, so that a problem is printed once and keys are created once.
      const first = await startOne();
      const others = await Promise.all(Array.from({ length: count - 1 }, startOne));
      for (const started of [first, ...others]) void keepRunning(started);
      return first.listening;
    },
    async readMetrics() {
      const all = await Promise.all([...workers].map((worker) => readMetricsOf(worker, clock)));
      return all.filter((samples) => samples !== undefined);
    },
    async stop(signal) {
      stopping.abort();
      const ending = [...workers].map(async (worker) => {
        const ended = once(worker, 'exit');
        const kill = (): unknown => worker.process.kill('SIGKILL');
        worker.process.kill('SIGTERM');
        signal.addEventListener('abort', kill);
        const [exitCode] = (await ended) as [number | null];
        signal.removeEventListener('abort', kill);
        return exitCode;
      });
      const exitCodes = await Promise.all(ending);
      if (exitCodes.some((exitCode) => exitCode !== 0)) throw new Error('a server process did not stop cleanly');
    },
  };
}
