import { resolve } from 'node:path';
import type { Config } from '#platform/config/config.ts';
import { hasChatPage } from './chat-page.ts';
import { version } from '#platform/process/version.ts';

export interface StartedProcess {
  readonly role: 'all' | 'server' | 'worker';
  readonly config: Pick<Config, 'CHAT_PAGE' | 'NODE_ENV' | 'DATA_DIR' | 'DATABASE_URL'>;
  /** URL at which clients reach the server, or undefined for a worker. */
  readonly url?: string;
  readonly adminPort: number;
}

const parts = { all: 'the server and its workers', server: 'the server', worker: 'a worker' } as const;

/** Returns the lines that a process prints on a terminal after its start. They contain no secret. */
export function startupSummary({ role, config, url, adminPort }: StartedProcess): readonly string[] {
  const isEmbedded = config.DATABASE_URL === undefined;
  const dataDir = resolve(config.DATA_DIR);
  const rows: (readonly [label: string, value: string])[] = [
    ...(url === undefined ? [] : [['Address', url] as const]),
    ...(url === undefined || !hasChatPage(config) ? [] : [['Chat', `${url}/chat`] as const]),
    ['Metrics', `http://127.0.0.1:${adminPort}/metrics`],
    ['Data', isEmbedded ? `${dataDir} (an embedded Postgres)` : 'the Postgres of DATABASE_URL'],
    ...(config.NODE_ENV === 'production' || role === 'worker'
      ? []
      : [['Try', 'npm run demo: three clients talk through a server of their own'] as const]),
    role === 'worker'
      ? ['Jobs', 'npm run admin -- jobs list, and docs/workers.md']
      : ['Docs', 'docs/api/README.md for clients, docs/settings.md for settings'],
    ['Stop', 'Ctrl-C'],
  ];
  const lines = rows.map(([label, value]) => `  ${label.padEnd(9)}${value}`);
  return ['', `Nightjar ${version} runs: ${parts[role]}.`, ...lines, ''];
}
