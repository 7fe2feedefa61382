import { AggregatorRegistry } from 'prom-client';
import type { MetricSamples } from './metrics.ts';

/**
 * Joins the metrics of several processes into one text for Prometheus. Counts are added up; a gauge that describes the
 * database or a kind of state has the highest value of all processes.
 */
export function joinSamples(samples: readonly MetricSamples[]): Promise<string> {
  return AggregatorRegistry.aggregate([...samples]).metrics();
}
