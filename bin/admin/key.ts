import { defineCommand } from 'citty';
import { encodeBase64 } from '#platform/base64.ts';
import { newSecret } from '#platform/ids.ts';
import { command, UsageError } from './command.ts';

function printKey(id: number): void {
  if (!Number.isInteger(id) || id < 1 || id > 255)
    throw new UsageError('The id of a key must be a whole number from 1 to 255.');
  console.log(`${id}:${encodeBase64(newSecret(32))}`);
}

const create = defineCommand({
  meta: { name: 'new', description: 'Print a new key for IDENTITY_KEY; store a copy separately from the database' },
  args: { id: { type: 'string', default: '1', description: 'From 1 to 255, not yet used in your key ring' } },
  run: ({ args }) => command(() => printKey(Number(args.id))),
});

export const keyCommand = defineCommand({
  meta: { name: 'key', description: 'Keys for stored data' },
  subCommands: { new: create },
});
