import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startAdminListener } from '#ops/admin-listener.ts';
import type { AdminListener } from '#ops/admin-listener.ts';
import { createMetrics } from '#platform/metrics/metrics.ts';
import type { Metrics } from '#platform/metrics/metrics.ts';

const labels = {
  methods: ['sendMessage', 'getMessages'],
  quotas: ['address', 'sendMessage'],
  jobs: ['compact-events'],
  retentionClasses: ['events'],
};
const unlistedValues = [
  'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
  '192.0.2.1',
  'constructor',
  '__proto__',
  'toString',
  '',
  'x'.repeat(5_000),
  'a"} 1\nevil{b="',
];

let metrics: Metrics;
let admin: AdminListener;

beforeEach(async () => {
  metrics = createMetrics(labels);
  admin = await startAdminListener({ port: 0, metrics });
});
afterEach(() => admin.close());

/** Every label value of the `nightjar_` metrics, by label name. */
async function labelValues(): Promise<Map<string, Set<string>>> {
  const values = new Map<string, Set<string>>();
  for (const line of (await metrics.read()).split('\n').filter((text) => text.startsWith('nightjar_'))) {
    for (const [, label = '', value = ''] of line.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      values.set(label, (values.get(label) ?? new Set()).add(value));
    }
  }
  return values;
}

test('a label value outside the closed list is counted as unknown', async () => {
  for (const value of ['sendMessage', 'compact-events', 'events', 'address', ...unlistedValues]) {
    metrics.requestFinished(value, 404, 3);
    metrics.quotaRefused(value);
    metrics.jobFinished(value, 'failed', 3);
    metrics.jobLastSucceeded(value, 3);
    metrics.retentionAge({ name: value, job: 'compact-events', oldestMs: 2, overdueMs: 1 });
  }
  const values = await labelValues();
  values.delete('le');
  expect(Object.fromEntries([...values].map(([label, seen]) => [label, [...seen].sort()]))).toEqual({
    method: ['sendMessage', 'unknown'],
    status_class: ['4xx'],
    quota: ['address', 'sendMessage', 'unknown'],
    job: ['compact-events', 'unknown'],
    class: ['events', 'unknown'],
    result: ['failed'],
  });
});

test('a request counts in its status class, and in every bucket of at least its duration', async () => {
  metrics.requestFinished('sendMessage', 200, 4);
  metrics.requestFinished('sendMessage', 204, 20_000);
  metrics.requestFinished('sendMessage', 503, 5);
  const lines = (await metrics.read()).split('\n').filter((line) => line.startsWith('nightjar_request'));
  expect(lines).toEqual(
    expect.arrayContaining([
      'nightjar_requests_total{method="sendMessage",status_class="2xx"} 2',
      'nightjar_requests_total{method="sendMessage",status_class="5xx"} 1',
      'nightjar_request_duration_seconds_bucket{le="0.002",method="sendMessage"} 0',
      'nightjar_request_duration_seconds_bucket{le="0.005",method="sendMessage"} 2',
      'nightjar_request_duration_seconds_bucket{le="10",method="sendMessage"} 2',
      'nightjar_request_duration_seconds_bucket{le="+Inf",method="sendMessage"} 3',
      'nightjar_request_duration_seconds_sum{method="sendMessage"} 20.009',
      'nightjar_request_duration_seconds_count{method="sendMessage"} 3',
    ]),
  );
});

test("the operator's port serves the metrics", async () => {
  metrics.requestFinished('sendMessage', 200, 12);
  metrics.eventHorizonLag(1_500);
  metrics.databasePool({ open: 4, busy: 3, waiting: 2 });
  metrics.signatureBackend('secp256k1-native');
  metrics.signatureBackend('node-crypto');
  metrics.sendFinished('stored');
  metrics.batchStored(5);
  metrics.subscribers('websocket', 7);
  const response = await fetch(`http://127.0.0.1:${admin.port}/metrics`);
  expect(response.headers.get('content-type')).toContain('text/plain');
  const text = await response.text();
  const expected = [
    'nightjar_requests_total{method="sendMessage",status_class="2xx"} 1',
    'nightjar_request_duration_seconds_count{method="sendMessage"} 1',
    'nightjar_event_horizon_lag_seconds 1.5',
    'nightjar_database_pool{state="open"} 4',
    'nightjar_database_pool{state="busy"} 3',
    'nightjar_database_pool{state="waiting"} 2',
    'nightjar_signature_backend_info{backend="node-crypto"} 1',
    'nightjar_sends_total{result="stored"} 1',
    'nightjar_send_batch_size_sum 5',
    'nightjar_subscribers{transport="websocket"} 7',
  ];
  expect(text.split('\n')).toEqual(expect.arrayContaining(expected));
  expect(text).not.toContain('backend="secp256k1-native"');
  expect(text).toMatch(/^nodejs_eventloop_lag_seconds \d/m);
});

describe("the operator's port", () => {
  const elsewhere = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

  test.runIf(elsewhere !== undefined)('is closed on every address but loopback', async () => {
    const outcome = await new Promise((resolve) => {
      const socket = connect({ host: elsewhere ?? '', port: admin.port, timeout: 2_000 });
      socket
        .on('connect', () => resolve('open'))
        .on('error', () => resolve('closed'))
        .on('timeout', () => resolve('closed'));
      socket.on('close', () => socket.destroy());
    });
    expect(outcome).toBe('closed');
  });

  test.each(['evil.example', 'localhost.evil.example:80', '127.0.0.1.evil.example'])(
    'refuses the host name %j',
    async (host) => {
      const status = await new Promise((resolve, reject) => {
        request({ host: '127.0.0.1', port: admin.port, path: '/metrics', headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on('error', reject)
          .end();
      });
      expect(status).toBeGreaterThanOrEqual(400);
    },
  );

  test('reports EADDRINUSE when the port is in use', async () => {
    await expect(startAdminListener({ port: admin.port, metrics })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  test('closes while a scraper keeps its connection open', async () => {
    const other = await startAdminListener({ port: 0, metrics });
    await (await fetch(`http://127.0.0.1:${other.port}/metrics`)).text();
    const startedMs = performance.now();
    await other.close();
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });
});
