import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Redis } from 'ioredis';
import { systemClock } from '#platform/clock.ts';

/** A Redis for one test, which stores nothing on disk. */
export interface TestRedis {
  readonly url: string;
  /** Returns every key with its value. */
  dump(): Promise<string>;
  /** Deletes all data, because Redis may lose it at any time. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Whether this machine has a Redis server; the tests that need it are skipped otherwise. */
export const hasRedis = isInstalled();

function isInstalled(): boolean {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export async function startRedis(...options: readonly string[]): Promise<TestRedis> {
  const port = await freePort();
  // Without compression, so that the dump can be searched.
  const args = [
    '--rdbcompression',
    'no',
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    ...options,
  ];
  const server = spawn('redis-server', args, { stdio: 'ignore' });
  const exited = once(server, 'exit');
  const url = `redis://127.0.0.1:${port}`;
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  client.on('error', () => undefined);
  await untilReady(client);
  return {
    url,
    async dump() {
      const keys = await client.keys('*');
      const values = await Promise.all(keys.map((key) => client.dumpBuffer(key)));
      return [...keys, ...values.map((value) => value?.toString('latin1'))].join('\n');
    },
    flush: async () => {
      await client.flushall();
    },
    async close() {
      client.disconnect();
      server.kill('SIGKILL');
      await exited;
    },
  };
}

async function untilReady(client: Redis): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await client.connect();
      return;
    } catch (error) {
      if (attempt === 200) throw error;
      await systemClock.sleep(50);
    }
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
