import { jobNames } from '#jobs/catalogue.ts';
import type { JobName } from '#jobs/catalogue.ts';
import { InvariantError } from '#platform/errors.ts';
import type { KeyRing } from '#privacy/key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import type { Database } from '#storage/connection/database.ts';
import { assertIdentityKey, identityKeyOf } from '#storage/schema/identity-key-check.ts';
import { appendOperatorAction } from '#storage/rows/operator-actions.ts';

/** What operators do by command, each with the words for what it is done to: `none` where that is a person, or nothing. */
export interface OperatorSubjects {
  readonly 'jobs.run': JobName;
  readonly 'jobs.pause': JobName;
  readonly 'jobs.resume': JobName;
  readonly 'jobs.retry': JobName;
  readonly purge: JobName;
  readonly 'migrate.up': 'none';
  readonly 'migrate.down': 'none';
  readonly 'account.not_before': 'none';
  readonly 'account.suspend': 'none';
  readonly 'account.resume': 'none';
  readonly 'restore.finish': 'none';
}

export type OperatorCommand = keyof OperatorSubjects;

const words: { readonly [Command in OperatorCommand]: readonly OperatorSubjects[Command][] } = {
  'jobs.run': jobNames,
  'jobs.pause': jobNames,
  'jobs.resume': jobNames,
  'jobs.retry': jobNames,
  purge: jobNames,
  'migrate.up': ['none'],
  'migrate.down': ['none'],
  'account.not_before': ['none'],
  'account.suspend': ['none'],
  'account.resume': ['none'],
  'restore.finish': ['none'],
};

/**
 * Writes an operator's action down, before it is done, at the end of the chain that `npm run admin -- audit verify` checks.
 * @throws ConfigError when the key is not the one of the database; InvariantError for a word that is not of the list.
 */
export async function recordOperatorAction<Command extends OperatorCommand>(
  deps: { database: Database; ring: KeyRing },
  action: Command,
  subject: OperatorSubjects[Command],
): Promise<void> {
  const known: readonly string[] = words[action];
  if (!known.includes(subject)) throw new InvariantError('an operator action of no list');
  await assertIdentityKey(deps.database.sql, identityKeyOf(createPrivacy(deps.ring)));
  await appendOperatorAction({ db: deps.database.db, ring: deps.ring }, { action, subject });
}
