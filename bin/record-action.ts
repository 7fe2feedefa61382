import { recordOperatorAction } from '#ops/operator-actions.ts';
import type { OperatorCommand, OperatorSubjects } from '#ops/operator-actions.ts';
import type { Config } from '#platform/config/config.ts';
import { loadKeyRing } from '#privacy/load-key-ring.ts';
import type { Database } from '#storage/connection/database.ts';

/** Writes down that an operator is about to do this. @throws ConfigError when the key is not the one of the database. */
export async function recordAction<Command extends OperatorCommand>(
  where: { config: Config; database: Database },
  action: Command,
  subject: OperatorSubjects[Command],
): Promise<void> {
  const { config, database } = where;
  const { ring } = await loadKeyRing({ identityKey: config.IDENTITY_KEY, dataDir: config.DATA_DIR });
  await recordOperatorAction({ database, ring }, action, subject);
}
