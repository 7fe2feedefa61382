import type { Worker } from 'node:cluster';
import type { Clock } from '#platform/clock.ts';
import type { MetricSamples, Metrics } from '#platform/metrics/metrics.ts';

/** A message of a server process to its parent: that it listens, or its metrics. */
type MessageToParent =
  | Listening
  | { readonly type: 'metrics'; readonly request: number; readonly samples: MetricSamples };

export interface Listening {
  readonly type: 'listening';
  readonly port: number;
  /** The URL under which clients reach the server, without a path. */
  readonly url: string;
}

interface MetricsRequest {
  readonly type: 'metrics_request';
  readonly request: number;
}

const metricsTimeoutMs = 1_000;
let requests = 0;

/** Tells the parent that this process listens, and answers its requests for metrics from then on. */
export function reportToParent(server: {
  readonly port: number;
  readonly url: string;
  readonly metrics: Metrics;
}): void {
  process.on('message', (message: MetricsRequest) => {
    if (message.type !== 'metrics_request') return;
    void server.metrics
      .readSamples()
      .then((samples) => sendToParent({ type: 'metrics', request: message.request, samples }));
  });
  sendToParent({ type: 'listening', port: server.port, url: server.url });
}

/** Sends a message. A failure is ignored, because Node ends this process when the parent is gone. */
function sendToParent(message: MessageToParent): void {
  process.send?.(message, undefined, undefined, () => undefined);
}

/** Calls `onListening` when the process listens. */
export function whenListening(worker: Worker, onListening: (message: Listening) => void): void {
  worker.on('message', (message: MessageToParent) => {
    if (message.type === 'listening') onListening(message);
  });
}

/** Reads the metrics of a process. Resolves with undefined if the process ends or does not respond within a second. */
export async function readMetricsOf(worker: Worker, clock: Clock): Promise<MetricSamples | undefined> {
  const request = ++requests;
  const done = new AbortController();
  let received: MetricSamples | undefined;
  const onMessage = (message: MessageToParent): void => {
    if (message.type !== 'metrics' || message.request !== request) return;
    received = message.samples;
    done.abort();
  };
  const onExit = (): void => done.abort();
  worker.on('message', onMessage).once('exit', onExit);
  worker.send({ type: 'metrics_request', request } satisfies MetricsRequest, (error: Error | null) => {
    if (error !== null) done.abort();
  });
  await clock.sleep(metricsTimeoutMs, done.signal);
  worker.off('message', onMessage).off('exit', onExit);
  return received;
}
