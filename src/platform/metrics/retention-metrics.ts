import { Gauge } from 'prom-client';
import type { Registry } from 'prom-client';

/**
 * The age of the oldest row of one retention class, with the job that removes the rows of the class (see
 * `src/domain/retention`).
 */
interface RetentionAge {
  readonly name: string;
  readonly job: string;
  /** Milliseconds since the retention of the oldest row began; undefined when this time is unknown. */
  readonly oldestMs: number | undefined;
  readonly overdueMs: number;
}

export interface RetentionMetrics {
  retentionAge(age: RetentionAge): void;
}

/**
 * Registers the metrics about retention. `classOf` and `jobOf` must map every value outside the allowed lists to
 * `unknown`.
 */
export function retentionMetrics(
  registry: Registry,
  { classOf, jobOf }: { classOf: (label: string) => string; jobOf: (label: string) => string },
): RetentionMetrics {
  const registers = [registry];
  const labelNames = ['class', 'job'];
  const overdue = new Gauge({
    name: 'nightjar_retention_overdue_seconds',
    help: 'How long ago the oldest row of a class could have been removed; 0 when no row is past its retention.',
    labelNames,
    registers,
  });
  const oldest = new Gauge({
    name: 'nightjar_retention_oldest_seconds',
    help: 'Time since the retention of the oldest row began; for partitions, the oldest possible row.',
    labelNames,
    registers,
  });
  return {
    retentionAge({ name, job, oldestMs, overdueMs }) {
      const labels = { class: classOf(name), job: jobOf(job) };
      overdue.set(labels, overdueMs / 1000);
      if (oldestMs === undefined) oldest.remove(labels);
      else oldest.set(labels, oldestMs / 1000);
    },
  };
}
