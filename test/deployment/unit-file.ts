import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../conventions/source-tree.ts';

/** The values of each directive of a unit file, in order. */
export type Unit = ReadonlyMap<string, readonly string[]>;

export const unitPaths = {
  server: join(projectRoot, 'docs/deployment/nightjar-server.service'),
  worker: join(projectRoot, 'docs/deployment/nightjar-worker.service'),
} as const;

export function readUnit(path: string): Unit {
  const unit = new Map<string, string[]>();
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) unit.set(name, [...(unit.get(name) ?? []), value]);
  }
  return unit;
}

/** Whether the tools are installed that the tests of the units need; without them the tests are skipped. */
export function hasTools(...tools: readonly string[]): boolean {
  return tools.every((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0);
}

/** System calls that the unit's filters allow, by name; `@groups` are resolved by systemd. */
export function allowedSystemCalls(unit: Unit): readonly string[] {
  const allowed = new Set<string>(membersOf('@default'));
  for (const filter of unit.get('SystemCallFilter') ?? []) {
    const isDenied = filter.startsWith('~');
    const named = filter.replace('~', '').split(/\s+/).flatMap(membersOf);
    for (const name of named) {
      if (isDenied) allowed.delete(name);
      else allowed.add(name);
    }
  }
  return [...allowed];
}

function membersOf(item: string): string[] {
  if (!item.startsWith('@')) return [item];
  const lines = execFileSync('systemd-analyze', ['syscall-filter', item], { encoding: 'utf8' }).split('\n').slice(1);
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .flatMap(membersOf);
}
