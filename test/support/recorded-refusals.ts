import { appendFileSync, readFileSync } from 'node:fs';

const fileVariable = 'SEEN_REFUSALS_FILE';
const noted = new Set<string>();

/** Makes this process and its child processes record refusals in `file`. */
export function noteRefusalsIn(file: string): void {
  process.env[fileVariable] = file;
}

/** Records that a server sent this refusal; the end of the run checks the records. */
export function noteRefusal(method: string, name: string): void {
  const file = process.env[fileVariable];
  const pair = `${method}.${name}`;
  if (file === undefined || noted.has(pair)) return;
  noted.add(pair);
  appendFileSync(file, `${pair}\n`);
}

/** Returns all refusals recorded in `file`, as `method.Name`. */
export function seenRefusals(file: string): Set<string> {
  return new Set(readFileSync(file, 'utf8').split('\n'));
}
