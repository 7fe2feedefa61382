import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectPlain, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { projectRoot } from '../conventions/source-tree.ts';

export const proxyNames = ['nginx', 'caddy'] as const;
export type ProxyName = (typeof proxyNames)[number];

/** A proxy with a sample configuration, in which ports, paths and names are replaced, in front of a service. */
export interface SampleProxy {
  /** A port without TLS, because test clients have none: its connections reach the proxy over TLS from `clientAddress`. */
  plainEntrance(clientAddress: string): Promise<{ readonly port: number; readonly url: string }>;
  /** The port of the proxy for requests without TLS. */
  readonly plainPort: number;
  /** The standard output, the standard error and the log. */
  written(): string;
  isRunning(): boolean;
  stop(): Promise<void>;
}

const configPaths = { nginx: 'docs/deployment/nginx.conf', caddy: 'docs/deployment/Caddyfile' } as const;
const ownName = 'mls.example.com';
/** Names by which test clients reach the service. */
const testNames = ['nightjar.test', '127.0.0.1'] as const;

export function hasProxy(name: ProxyName): boolean {
  return [name, 'openssl'].every((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0);
}

export async function startSampleProxy(name: ProxyName, servicePort: number): Promise<SampleProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-proxy-'));
  // nginx drops the rights of root.
  chmodSync(folder, 0o755);
  const { certificate, key } = makeCertificate(folder);
  const [port, plainPort] = [await freePort(), await freePort()];
  const sample = readFileSync(join(projectRoot, configPaths[name]), 'utf8');
  const ports = replace(sample, [['127.0.0.1:8080', `127.0.0.1:${servicePort}`]]);
  const config =
    name === 'nginx'
      ? replace(ports, [
          ['/etc/letsencrypt/live/mls.example.com/fullchain.pem', certificate],
          ['/etc/letsencrypt/live/mls.example.com/privkey.pem', key],
          [`server_name ${ownName};`, `server_name ${testNames.join(' ')};`],
          ['listen 443 ', `listen 127.0.0.1:${port} `],
          ['listen 80 ', `listen 127.0.0.1:${plainPort} `],
          ['/run/nginx.pid', join(folder, 'nginx.pid')],
          ['/var/log/nginx/error.log', join(folder, 'error.log')],
          ['worker_connections 16384', 'worker_connections 1024'],
          ['worker_rlimit_nofile 65536;', ''],
          ['http {', `http {\n${temporaryPaths(folder)}`],
        ])
      : replace(ports, [
          ['admin off', `admin off\n\thttp_port ${plainPort}\n\thttps_port ${port}`],
          [':443 {', `:${port} {\n\tbind 127.0.0.1`],
          [
            `${ownName} {`,
            `${testNames.map((each) => `https://${each}:${port}`).join(', ')} {\n\tbind 127.0.0.1\n\ttls ${certificate} ${key}`,
          ],
        ]);
  const configFile = join(folder, 'config');
  writeFileSync(configFile, config);
  const child =
    name === 'nginx'
      ? spawn('nginx', ['-c', configFile, '-p', folder, '-e', join(folder, 'error.log'), '-g', 'daemon off;'])
      : spawn('caddy', ['run', '--adapter', 'caddyfile', '--config', configFile], {
          env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
        });
  const exited = once(child, 'exit');
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const written = (): string => output + readOrEmpty(join(folder, 'error.log'));
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  const entrances: { close(): Promise<void> }[] = [];
  const stop = async (): Promise<void> => {
    for (const entrance of entrances) await entrance.close();
    // The signal that stops the proxy without waiting for its connections.
    child.kill(name === 'nginx' ? 'SIGTERM' : 'SIGQUIT');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  for (let waitedMs = 0; !(await accepts(port)); waitedMs += 50) {
    if (!isRunning() || waitedMs > 10_000) {
      const output = written();
      await stop();
      throw new Error(`${name} does not start: ${output}`);
    }
    await sleep(50);
  }
  return {
    plainPort,
    written,
    isRunning,
    stop,
    async plainEntrance(clientAddress) {
      const entrance = await openPlainEntrance(port, clientAddress);
      entrances.push(entrance);
      return entrance;
    },
  };
}

/** @throws Error when the sample configuration lacks a text to replace. */
function replace(text: string, pairs: readonly (readonly [from: string, to: string])[]): string {
  let replaced = text;
  for (const [from, to] of pairs) {
    if (!replaced.includes(from)) throw new Error(`the sample has no "${from}"`);
    replaced = replaced.replaceAll(from, to);
  }
  return replaced;
}

function temporaryPaths(folder: string): string {
  mkdirSync(join(folder, 'temporary'), { mode: 0o777 });
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${join(folder, 'temporary', kind)};`)
    .join('\n');
}

function makeCertificate(folder: string): { certificate: string; key: string } {
  const [certificate, key] = [join(folder, 'certificate.pem'), join(folder, 'secret.pem')];
  const how = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=nightjar.test';
  const names = 'subjectAltName=DNS:nightjar.test,IP:127.0.0.1';
  const made = spawnSync('openssl', [...how.split(' '), '-addext', names, '-keyout', key, '-out', certificate]);
  if (made.status !== 0) throw new Error(made.stderr.toString());
  return { certificate, key };
}

async function openPlainEntrance(
  proxyPort: number,
  clientAddress: string,
): Promise<{ port: number; url: string; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const onward = connect({
      socket: connectPlain({ host: '127.0.0.1', port: proxyPort, localAddress: clientAddress }).on('error', () =>
        socket.destroy(),
      ),
      servername: 'nightjar.test',
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
    });
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy()).on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connectPlain(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
