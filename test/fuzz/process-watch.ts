import type { EventEmitter } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Watches a process that answers, for what no answer shows. */
export interface ProcessWatch {
  /** What went wrong since the last call: rejections and exceptions that nobody caught, and log lines of failures. */
  newProblems(): string[];
  /** The longest time that the event loop did nothing else. */
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
