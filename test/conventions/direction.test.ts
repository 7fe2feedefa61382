import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync, copyFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cruise } from 'dependency-cruiser';
import type { ICruiseOptions, ICruiseResult } from 'dependency-cruiser';
import extractConfig from 'dependency-cruiser/config-utl/extract-depcruise-config';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectRoot } from './source-tree.ts';

const folders = ['src', 'workers', 'bin', 'migrations'];

async function cruiseFolder(baseDir: string): Promise<{ modulesCruised: number; problems: string[] }> {
  const config = await extractConfig(join(projectRoot, '.dependency-cruiser.mjs'));
  const options: ICruiseOptions = {
    ...config.options,
    ruleSet: { forbidden: config.forbidden ?? [] },
    validate: true,
    baseDir,
  };
  const { output } = await cruise(folders, options);
  if (typeof output === 'string') throw new Error('dependency-cruiser returned a report instead of a result');
  return { modulesCruised: ownModules(output), problems: problemsOf(output) };
}

function ownModules(result: ICruiseResult): number {
  return result.modules.filter((module) => folders.some((folder) => module.source.startsWith(`${folder}/`))).length;
}

function problemsOf(result: ICruiseResult): string[] {
  const rules = new Map((result.summary.ruleSetUsed?.forbidden ?? []).map((rule) => [rule.name, rule.comment]));
  return result.summary.violations.map(
    ({ from, to, rule }) => `${rule.name}: ${from} → ${to}. ${rules.get(rule.name) ?? ''}`,
  );
}

describe('imports go downward only', () => {
  test('in the project', { timeout: 20_000 }, async () => {
    const { modulesCruised, problems } = await cruiseFolder(projectRoot);
    expect(problems).toEqual([]);
    expect(modulesCruised, 'dependency-cruiser saw too little: check its parser option').toBeGreaterThan(60);
  });
});

/** A small project in which every file but the `fine` ones breaks the rule that is named beside it. */
const planted: readonly (readonly [path: string, text: string, rule: string | undefined])[] = [
  ['src/platform/clock.ts', 'export const clock = 1;', undefined],
  ['src/mls/epoch.ts', "import { clock } from '#platform/clock.ts'; export const epoch = clock;", undefined],
  [
    'src/platform/up.ts',
    "import { epoch } from '#mls/epoch.ts'; export const up = epoch;",
    'platform-imports-downward',
  ],
  [
    'src/storage/connection/database.ts',
    "import postgres from 'postgres'; export const database = postgres;",
    undefined,
  ],
  [
    'src/mls/reads-database.ts',
    "import { database } from '#storage/connection/database.ts'; export const x = database;",
    'mls-imports-downward',
  ],
  ['src/domain/messages/store.ts', 'export const store = 1;', undefined],
  ['src/domain/messages/send-message.ts', "import { store } from './store.ts'; export const send = store;", undefined],
  [
    'src/domain/welcomes/deliver.ts',
    "import { store } from '../messages/store.ts'; export const d = store;",
    'store-is-private',
  ],
  [
    'workers/reads-store.ts',
    "import { store } from '../src/domain/messages/store.ts'; export const w = store;",
    'store-stays-in-domain',
  ],
  [
    'src/domain/serves.ts',
    "import type { ticket } from '#stream/ticket.ts'; export type S = typeof ticket;",
    'domain-imports-downward',
  ],
  ['src/stream/ticket.ts', 'export const ticket = 1;', undefined],
  ['src/auth/neighbour.ts', "export const n = import('#stream/ticket.ts');", 'auth-imports-downward'],
  [
    'src/quota/neighbour.ts',
    "import { ticket } from '#stream/ticket.ts'; export const q = ticket;",
    'quota-imports-downward',
  ],
  ['src/domain/caller.ts', 'export interface Caller {}', undefined],
  ['src/auth/authenticate.ts', "import type { Caller } from '#domain/caller.ts'; export type A = Caller;", undefined],
  [
    'src/auth/curious.ts',
    "import { send } from '#domain/messages/send-message.ts'; export const c = send;",
    'auth-and-quota-know-callers-only',
  ],
  [
    'src/xrpc/mls/getEpoch.ts',
    "import { database } from '#storage/connection/database.ts'; export const g = database;",
    'xrpc-has-no-sql',
  ],
  ['src/xrpc/sql.ts', "import { sql } from 'kysely'; export const s = sql;", 'xrpc-has-no-sql'],
  ['src/domain/tokens.ts', "import { jwtVerify } from 'jose'; export const t = jwtVerify;", 'only-at-home-jose'],
  ['src/domain/sql.ts', "import postgres from 'postgres'; export const p = postgres;", 'only-at-home-postgres'],
  ['src/domain/queue.ts', "import { Queue } from 'bullmq'; export const b = Queue;", 'only-at-home-bullmq'],
  ['src/domain/http.ts', "import { Hono } from 'hono'; export const h = Hono;", 'only-at-home-hono'],
  ['src/mls/circle-a.ts', "import type { B } from './circle-b.ts'; export type A = B;", 'no-cycles'],
  ['src/mls/circle-b.ts', "import type { A } from './circle-a.ts'; export type B = A | 1;", undefined],
  ['src/server/app.ts', "import { ticket } from '#stream/ticket.ts'; export const app = ticket;", undefined],
  ['src/server/starts.ts', "import { app } from './app.ts'; export const o = app;", 'entry-points-are-not-libraries'],
  [
    'workers/serves.ts',
    "import { ticket } from '#stream/ticket.ts'; export const w = ticket;",
    'workers-serve-no-requests',
  ],
  ['src/ops/probes.ts', 'export const probes = 1;', undefined],
  ['workers/probes.ts', "import { probes } from '#ops/probes.ts'; export const w = probes;", 'workers-do-jobs-only'],
  ['workers/one.ts', 'export const one = 1;', undefined],
  ['workers/two.ts', "import { one } from './one.ts'; export const two = one;", 'workers-are-independent'],
  ['migrations/0001-start.ts', "import { sql } from 'kysely'; export const up = sql;", undefined],
  [
    'migrations/0002-borrows.ts',
    "import { clock } from '#platform/clock.ts'; export const up = clock;",
    'migrations-import-kysely-only',
  ],
  ['bin/lost.ts', "import { gone } from './gone.ts'; export const l = gone;", 'not-to-unresolvable'],
];

describe('an import upward is reported', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-direction-'));
  let problems: string[] = [];

  beforeAll(async () => {
    for (const [path, text] of planted) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), `${text}\n`);
    }
    copyFileSync(join(projectRoot, 'package.json'), join(folder, 'package.json'));
    symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
    ({ problems } = await cruiseFolder(folder));
  }, 20_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.for(planted.filter(([, , rule]) => rule !== undefined))('%s', ([path, , rule]) => {
    expect(problems.filter((problem) => problem.startsWith(`${rule}: ${path} `))).not.toEqual([]);
  });

  test('and a correct import is not', () => {
    const fine = planted.filter(([, , rule]) => rule === undefined).map(([path]) => path);
    expect(problems.filter((problem) => fine.some((path) => problem.includes(`: ${path} →`)))).toEqual([]);
  });
});
