import { appendFileSync, readFileSync } from 'node:fs';

const fileVariable = 'SEEN_REFUSALS_FILE';
const noted = new Set<string>();

/** From now on, this process and those it starts note refusals in `file`. */
export function noteRefusalsIn(file: string): void {
  process.env[fileVariable] = file;
}

/** Remembers for the end of the run that a server sent this refusal. */
export function noteRefusal(method: string, name: string): void {
  const file = process.env[fileVariable];
  const pair = `${method}.${name}`;
  if (file === undefined || noted.has(pair)) return;
  noted.add(pair);
  appendFileSync(file, `${pair}\n`);
}

/** Everything noted in `file`, as `method.Name`. */
export function seenRefusals(file: string): Set<string> {
  return new Set(readFileSync(file, 'utf8').split('\n'));
}
