import { recordOperatorAction } from '#ops/operator-actions.ts';
import type { OperatorCommand, OperatorSubjects } from '#ops/operator-actions.ts';
import type { Config } from '#platform/config/config.ts';
import { loadKeyRing } from '#privacy/load-key-ring.ts';
import type { Database } from '#storage/connection/database.ts';

/**
 * Records an operator's action before it is done.
 * @throws ConfigError when the identity key does not belong to the database.
 */
export async function recordAction<Command extends OperatorCommand>(
  deps: { config: Config; database: Database },
  action: Command,
  subject: OperatorSubjects[Command],
): Promise<void> {
  const { config, database } = deps;
  const { ring } = await loadKeyRing({ identityKey: config.IDENTITY_KEY, dataDir: config.DATA_DIR });
  await recordOperatorAction({ database, ring }, action, subject);
}
