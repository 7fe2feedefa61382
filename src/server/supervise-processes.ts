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

/**
 * The server processes of this parent. The number of a process is that of the cluster, which no later process gets
 * again.
 */
export class Supervisor {
  readonly #deps: SupervisorDeps;
  readonly #stopping = new AbortController();
  readonly #workers = new Set<Worker>();

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
  }

  /**
   * Starts processes, and resolves when all listen. From then on each process that ends is replaced.
   * @throws ProcessStartError when one ends before it listens.
   */
  async start(count: number): Promise<Listening> {
    // The first process starts alone, so that a problem is printed once and keys are created once.
    const first = await this.#startOne();
    const others = await Promise.all(Array.from({ length: count - 1 }, () => this.#startOne()));
    for (const started of [first, ...others]) void this.#keepRunning(started);
    return first.listening;
  }

  /** Reads the metrics of every process that responds within a second. */
  async readMetrics(): Promise<readonly MetricSamples[]> {
    const all = await Promise.all([...this.#workers].map((worker) => readMetricsOf(worker, this.#deps.clock)));
    return all.filter((samples) => samples !== undefined);
  }

  /**
   * Sends SIGTERM to every process and waits until they have ended; sends SIGKILL when `signal` aborts.
   * @throws Error when a process did not end with exit code 0.
   */
  async stop(signal: AbortSignal): Promise<void> {
    this.#stopping.abort();
    const exitCodes = await Promise.all([...this.#workers].map((worker) => stopWorker(worker, signal)));
    if (exitCodes.some((exitCode) => exitCode !== 0)) throw new Error('a server process did not stop cleanly');
  }

  async #startOne(): Promise<Started> {
    const { clock, logger, env } = this.#deps;
    const startedMs = clock.monotonicMs();
    const worker = cluster.fork(env);
    this.#workers.add(worker);
    const ended = once(worker, 'exit').then(([exitCode]) => {
      this.#workers.delete(worker);
      return (exitCode as number | null) ?? 1;
    });
    const listening = new Promise<Listening>((resolve) => whenListening(worker, resolve));
    const first = await Promise.race([listening, ended]);
    if (typeof first === 'number') throw new ProcessStartError(first);
    logger.log('process_started', { process: worker.id, startupMs: clock.monotonicMs() - startedMs });
    return { worker, listening: first, ended };
  }

  /** Replaces the process each time it ends, after a delay that doubles while processes end soon after their start. */
  async #keepRunning(first: Started): Promise<void> {
    const { clock } = this.#deps;
    let current: Started | undefined = first;
    for (let restartMs = restartMsMin; current !== undefined; restartMs = Math.min(2 * restartMs, restartMsMax)) {
      const listeningMs = clock.monotonicMs();
      const exitCode = await current.ended;
      if (clock.monotonicMs() - listeningMs > stableMs) restartMs = restartMsMin;
      current = await this.#replace({ process: current.worker.id, exitCode, restartMs });
    }
  }

  /** Resolves with undefined when the processes are stopped or the configuration is wrong. */
  async #replace(ended: { process: number; exitCode: number; restartMs: number }): Promise<Started | undefined> {
    const { clock, logger, onGiveUp } = this.#deps;
    const { signal } = this.#stopping;
    for (let { restartMs } = ended; !signal.aborted; restartMs = Math.min(2 * restartMs, restartMsMax)) {
      const delayMs = restartMs * jitter();
      logger.log('process_ended', { ...ended, restartMs: delayMs });
      await clock.sleep(delayMs, signal);
      if (signal.aborted) return undefined;
      try {
        return await this.#startOne();
      } catch (error) {
        if (!(error instanceof ProcessStartError)) throw error;
        if (error.exitCode !== configurationExitCode) continue;
        onGiveUp(error);
        return undefined;
      }
    }
    return undefined;
  }
}

async function stopWorker(worker: Worker, signal: AbortSignal): Promise<number | null> {
  const ended = once(worker, 'exit');
  const kill = (): unknown => worker.process.kill('SIGKILL');
  signal.addEventListener('abort', kill);
  worker.process.kill('SIGTERM');
  const [exitCode] = (await ended) as [number | null];
  signal.removeEventListener('abort', kill);
  return exitCode;
}
