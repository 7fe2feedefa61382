import { readFileSync } from 'node:fs';

/** The version of the service, which is read from package.json. */
export const version: string = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
