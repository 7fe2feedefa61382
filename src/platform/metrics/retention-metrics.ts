import { Gauge } from 'prom-client';
import type { Registry } from 'prom-client';

/** How a class of expiring rows stands, and the job that removes them; see `src/domain/retention`. */
interface RetentionAge {
  readonly name: string;
  readonly job: string;
  /** Undefined where it is not known. */
  readonly oldestMs: number | undefined;
  readonly overdueMs: number;
}

export interface RetentionMetrics {
  retentionAge(age: RetentionAge): void;
}

/** `classOf` and `jobOf` leave only words of closed lists. */
export function retentionMetrics(
  registry: Registry,
  { classOf, jobOf }: { classOf: (word: string) => string; jobOf: (word: string) => string },
): RetentionMetrics {
  const registers = [registry];
  const labelNames = ['class', 'job'];
  const overdue = new Gauge({
    name: 'nightjar_retention_overdue_seconds',
    help: 'For how long the oldest row of a class could have been gone; 0 when nothing is past its time.',
    labelNames,
    registers,
  });
  const oldest = new Gauge({
    name: 'nightjar_retention_oldest_seconds',
    help: 'Since the time from which the retention of the oldest row counts; of partitions the oldest that could be.',
    labelNames,
    registers,
  });
  return {
    retentionAge({ name, job, oldestMs, overdueMs }) {
      const words = { class: classOf(name), job: jobOf(job) };
      overdue.set(words, overdueMs / 1000);
      if (oldestMs === undefined) oldest.remove(words);
      else oldest.set(words, oldestMs / 1000);
    },
  };
}
