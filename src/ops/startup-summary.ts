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
  readonly hasDevelopmentIdentities?: boolean;
}

const parts = { all: 'the server and its workers', server: 'the server', worker: 'a worker' } as const;

function developmentRows({ config, url, hasDevelopmentIdentities }: StartedProcess): (readonly [string, string])[] {
  if (config.NODE_ENV === 'production' || url === undefined) return [];
  return [
    ['Try', 'npm run demo: three clients talk through a server of their own'],
    ...(hasDevelopmentIdentities === true
      ? [
          ['People', 'npm run admin -- dev people: alice, bob, carol; dev person NAME adds one'] as const,
          ['Token', 'npm run -s admin -- dev token --as alice --method getConvos'] as const,
        ]
      : []),
  ];
}

/** Returns the lines that a process prints on a terminal after its start. They contain no secret. */
export function startupSummary(started: StartedProcess): readonly string[] {
  const { role, config, url, adminPort } = started;
  const isEmbedded = config.DATABASE_URL === undefined;
  const dataDir = resolve(config.DATA_DIR);
  const rows: (readonly [label: string, value: string])[] = [
    ...(url === undefined ? [] : [['Address', url] as const]),
    ...(url === undefined || !hasChatPage(config) ? [] : [['Chat', `${url}/chat`] as const]),
    ['Metrics', `http://127.0.0.1:${adminPort}/metrics`],
    ['Data', isEmbedded ? `${dataDir} (an embedded Postgres)` : 'the Postgres of DATABASE_URL'],
    ...developmentRows(started),
    role === 'worker'
      ? ['Jobs', 'npm run admin -- jobs list, and docs/workers.md']
      : ['Docs', `${url ?? ''}/docs: how to write a client, and every setting`],
    ['Stop', 'Ctrl-C'],
  ];
  const lines = rows.map(([label, value]) => `  ${label.padEnd(9)}${value}`);
  return ['', `Nightjar ${version} runs: ${parts[role]}.`, ...lines, ''];
}
