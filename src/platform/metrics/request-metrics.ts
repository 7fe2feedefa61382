import type { Metric, Registry } from 'prom-client';

/** Updates the metrics of finished requests. */
export interface RequestMetrics {
  requestFinished(method: string, status: number, durationMs: number): void;
}

/** The requests of one method. */
interface MethodCounts {
  /** The number of responses with the statuses 1xx, 2xx, 3xx, 4xx and 5xx. */
  readonly byStatusClass: number[];
  /** The number of requests in each bucket, the last of which has no upper bound. */
  readonly byBucket: number[];
  sumSeconds: number;
}

interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

const bucketsSeconds = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const statusClasses = ['1xx', '2xx', '3xx', '4xx', '5xx'];

/**
 * Registers the metrics of finished requests. `methodOf` maps a method name to a label. The requests are counted in
 * arrays and become samples only when the metrics are read, because two calls of prom-client for each request cost
 * 2 µs: it creates and hashes an object of labels.
 */
export function requestMetrics(
  registry: Registry,
  options: { readonly prefix: string; readonly methodOf: (method: string) => string },
): RequestMetrics {
  const { prefix, methodOf } = options;
  const methods = new Map<string, MethodCounts>();
  const samplesOf = (list: (method: string, counts: MethodCounts) => Sample[]): Sample[] =>
    [...methods].flatMap(([method, counts]) => list(method, counts));

  const total = `${prefix}requests_total`;
  register(registry, { name: total, help: 'Requests with a response.', type: 'counter' }, () =>
    samplesOf((method, counts) => totalSamples(total, method, counts)),
  );
  const duration = `${prefix}request_duration_seconds`;
  const help = 'Time from the first byte of a request to its response.';
  register(registry, { name: duration, help, type: 'histogram' }, () =>
    samplesOf((method, counts) => durationSamples(duration, method, counts)),
  );

  return {
    requestFinished(method, status, durationMs) {
      const label = methodOf(method);
      let counts = methods.get(label);
      if (counts === undefined) methods.set(label, (counts = noCounts()));
      const seconds = durationMs / 1000;
      const bound = bucketsSeconds.findIndex((upper) => seconds <= upper);
      addOne(counts.byBucket, bound === -1 ? bucketsSeconds.length : bound);
      addOne(counts.byStatusClass, Math.floor(status / 100) - 1);
      counts.sumSeconds += seconds;
    },
  };
}

/** Registers a metric that is not of a class of prom-client, which reads `get` and nothing else of a metric. */
function register(
  registry: Registry,
  about: { readonly name: string; readonly help: string; readonly type: 'counter' | 'histogram' },
  samples: () => Sample[],
): void {
  const metric = { ...about, get: async () => ({ ...about, aggregator: 'sum', values: samples() }) };
  registry.registerMetric(metric as unknown as Metric);
}

function noCounts(): MethodCounts {
  return {
    byStatusClass: statusClasses.map(() => 0),
    byBucket: Array.from({ length: bucketsSeconds.length + 1 }, () => 0),
    sumSeconds: 0,
  };
}

function addOne(counts: number[], at: number): void {
  counts[at] = (counts[at] ?? 0) + 1;
}

function totalSamples(metricName: string, method: string, { byStatusClass }: MethodCounts): Sample[] {
  return statusClasses
    .map((statusClass, at) => ({
      metricName,
      labels: { method, status_class: statusClass },
      value: byStatusClass[at] ?? 0,
    }))
    .filter(({ value }) => value > 0);
}

function durationSamples(name: string, method: string, { byBucket, sumSeconds }: MethodCounts): Sample[] {
  let count = 0;
  const buckets = byBucket.map((inBucket, at) => {
    count += inBucket;
    return { metricName: `${name}_bucket`, labels: { le: bucketsSeconds[at] ?? '+Inf', method }, value: count };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels: { method }, value: sumSeconds },
    { metricName: `${name}_count`, labels: { method }, value: count },
  ];
}
