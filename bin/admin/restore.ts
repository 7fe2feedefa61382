import { defineCommand } from 'citty';
import { preparePartitions } from '#domain/events/prepare-partitions.ts';
import { readConfig } from '#platform/config/config.ts';
import { DatabaseInUseError, finishRestore } from '#storage/schema/finish-restore.ts';
import { assertMigrated } from '#storage/schema/migrator.ts';
import { recordAction } from '../record-action.ts';
import { withDatabase } from '../with-database.ts';
import { command, UsageError } from './command.ts';

async function finish(isComplete: boolean): Promise<void> {
  const config = readConfig(process.env);
  const done = await withDatabase(config, async (database) => {
    await assertMigrated(database);
    await recordAction({ config, database }, 'restore.finish', 'none');
    const finished = await finishRestore(database.sql, { isComplete }).catch((error: unknown) => {
      throw error instanceof DatabaseInUseError ? new UsageError(error.message) : error;
    });
    const partitions = await preparePartitions(database, {
      messageTtlDays: config.MESSAGE_TTL_DAYS,
      eventTtlDays: config.EVENT_STREAM_TTL_DAYS,
    });
    return { ...finished, partitions };
  });
  const text = `Servers and workers may start. ${done.conversations} conversations continue after a gap, ${done.keyPackagesWithdrawn} key packages were withdrawn.`;
  console.log(process.stdout.isTTY ? text : JSON.stringify({ restore: 'finished', ...done }));
}

const finishCommand = defineCommand({
  meta: {
    name: 'finish',
    description: 'Prepare a restored database for servers: run it once, before any server starts (docs/backups.md)',
  },
  args: {
    complete: {
      type: 'boolean',
      default: false,
      description:
        'The service was stopped before the backup, so nothing was lost: keep sequence numbers and key packages',
    },
  },
  run: ({ args }) => command(() => finish(args.complete)),
});

export const restoreCommand = defineCommand({
  meta: { name: 'restore', description: 'Finish the restore of a backup' },
  subCommands: { finish: finishCommand },
});
