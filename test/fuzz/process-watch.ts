import type { EventEmitter } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Watches the server process for problems that no response shows. */
export interface ProcessWatch {
  /** Returns the problems since the last call: unhandled rejections, uncaught exceptions, and log lines of failures. */
  newProblems(): string[];
  /** The longest delay of the event loop. */
  lagMsMax(): number;
  stop(): void;
}

const failureEvents: ReadonlySet<string> = new Set(['request_failed', 'background_failed', 'job_failed']);
const nanosecondsPerMs = 1e6;

/** `emitter` is the process; `logLines` what its logger has written. */
export function watchProcess(emitter: EventEmitter, logLines: readonly string[]): ProcessWatch {
  const uncaught: string[] = [];
  let seenLines = logLines.length;
  const onRejection = (reason: unknown): void => void uncaught.push(`unhandled rejection: ${String(reason)}`);
  const onException = (error: unknown): void => void uncaught.push(`uncaught exception: ${String(error)}`);
  emitter.on('unhandledRejection', onRejection);
  emitter.on('uncaughtException', onException);
  const lag = monitorEventLoopDelay({ resolution: 10 });
  lag.enable();
  return {
    newProblems() {
      const lines = logLines.slice(seenLines);
      seenLines = logLines.length;
      return [...uncaught.splice(0), ...lines.filter(isFailure)];
    },
    lagMsMax: () => lag.max / nanosecondsPerMs,
    stop() {
      lag.disable();
      emitter.off('unhandledRejection', onRejection);
      emitter.off('uncaughtException', onException);
    },
  };
}

function isFailure(line: string): boolean {
  const { event } = JSON.parse(line) as { event?: string };
  return event !== undefined && failureEvents.has(event);
}
