import { jobNames } from '#jobs/catalogue.ts';
import type { JobName } from '#jobs/catalogue.ts';
import { InvariantError } from '#platform/errors.ts';
import type { KeyRing } from '#privacy/key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import type { Database } from '#storage/connection/database.ts';
import { assertIdentityKey, identityKeyOf } from '#storage/schema/identity-key-check.ts';
import { appendOperatorAction } from '#storage/rows/operator-actions.ts';

/**
 * The actions that operators take by command, each with its allowed subjects. The subject is `none` for an action that
 * concerns a person or has no subject.
 */
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

const allowedSubjects: { readonly [Command in OperatorCommand]: readonly OperatorSubjects[Command][] } = {
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
 * Appends an operator's action to the hash chain that `npm run admin -- audit verify` checks. Must be called before the
 * action.
 * @throws ConfigError when the key is not that of the database, and InvariantError for a subject that is not in the
 * list.
 */
export async function recordOperatorAction<Command extends OperatorCommand>(
  deps: { database: Database; ring: KeyRing },
  action: Command,
  subject: OperatorSubjects[Command],
): Promise<void> {
  const knownSubjects: readonly string[] = allowedSubjects[action];
  if (!knownSubjects.includes(subject))
    throw new InvariantError('an operator action with a subject that is not in its list');
  await assertIdentityKey(deps.database.sql, identityKeyOf(createPrivacy(deps.ring)));
  await appendOperatorAction({ db: deps.database.db, ring: deps.ring }, { action, subject });
}
