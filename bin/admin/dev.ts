import { defineCommand } from 'citty';
import { handleOf, signServiceToken } from '#development/identity.ts';
import type { DevelopmentIdentity } from '#development/identity.ts';
import { IdentityFileError, openIdentityFiles } from '#development/identity-files.ts';
import type { IdentityFiles } from '#development/identity-files.ts';
import { systemClock } from '#platform/clock.ts';
import { readConfig } from '#platform/config/config.ts';
import type { Config } from '#platform/config/config.ts';
import { methodNames } from '#xrpc/mls/endpoints.ts';
import { command, UsageError } from './command.ts';

const namespace = 'blue.catbird.mls.';

/** Runs `task` on the development identities of DATA_DIR, which a server that runs on it reads too. */
async function onPeople(task: (files: IdentityFiles, config: Config) => Promise<void>): Promise<void> {
  const config = readConfig(process.env);
  if (config.NODE_ENV === 'production') throw new UsageError('There are no development identities in production.');
  if (config.DEVELOPMENT_IDENTITIES === false)
    throw new UsageError('DEVELOPMENT_IDENTITIES is false. Remove it from the environment and .env.');
  await task(openIdentityFiles(config.DATA_DIR), config).catch((error: unknown) => {
    throw error instanceof IdentityFileError ? new UsageError(error.message) : error;
  });
}

function printPerson(identity: DevelopmentIdentity): void {
  console.log(`${identity.name.padEnd(12)} ${identity.did}  ${handleOf(identity)}`);
}

async function printPeople(files: IdentityFiles): Promise<void> {
  const people = await files.list();
  if (people.length === 0)
    throw new UsageError('There is nobody yet. Run npm start, or: npm run admin -- dev person alice');
  for (const identity of people) printPerson(identity);
}

async function printToken(files: IdentityFiles, config: Config, call: { as: string; method: string }): Promise<void> {
  const method = methodOf(call.method);
  const identity = await files.find(call.as);
  const ownDid = config.SERVICE_DID ?? `did:web:localhost%3A${config.SERVER_PORT}`;
  const audience = (await files.readServiceDid()) ?? ownDid;
  console.log(await signServiceToken(identity, { audience, method, clock: systemClock }));
}

/** Returns the full name of a method that is given with or without its namespace. */
function methodOf(given: string): string {
  const name = given.startsWith(namespace) ? given.slice(namespace.length) : given;
  if (methodNames.includes(name)) return namespace + name;
  const similar = methodNames.filter((each) => each.toLowerCase().includes(name.toLowerCase()));
  const hint = similar.length > 0 && similar.length < 10 ? `Did you mean ${similar.join(' or ')}? ` : '';
  throw new UsageError(`There is no method ${name}. ${hint}All methods are in docs/api/README.md.`);
}

const people = defineCommand({
  meta: { name: 'people', description: 'List the development identities with their DIDs' },
  run: () => command(() => onPeople(printPeople)),
});

const person = defineCommand({
  meta: { name: 'person', description: 'Print the DID of a development identity, which is created if missing' },
  args: { name: { type: 'positional', required: true, description: 'Such as dave' } },
  run: ({ args }) => command(() => onPeople(async (files) => console.log((await files.findOrCreate(args.name)).did))),
});

const token = defineCommand({
  meta: { name: 'token', description: 'Print a service token for one call, valid for 60 seconds' },
  args: {
    as: { type: 'string', required: true, description: 'The person who calls, such as alice' },
    method: { type: 'string', required: true, description: 'The method to call, such as sendMessage' },
  },
  run: ({ args }) => command(() => onPeople((files, config) => printToken(files, config, args))),
});

export const devCommand = defineCommand({
  meta: { name: 'dev', description: 'People and tokens for development; never in production' },
  subCommands: { people, person, token },
});
