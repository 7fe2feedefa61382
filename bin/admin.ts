import { defineCommand, runMain } from 'citty';
import { accountCommand } from './admin/account.ts';
import { auditCommand } from './admin/audit.ts';
import { configCommand } from './admin/config.ts';
import { devCommand } from './admin/dev.ts';
import { jobsCommand } from './admin/jobs.ts';
import { keyCommand } from './admin/key.ts';
import { purgeCommand } from './admin/purge.ts';
import { quotaCommand } from './admin/quota.ts';
import { retentionCommand } from './admin/retention.ts';
import { restoreCommand } from './admin/restore.ts';

await runMain(
  defineCommand({
    meta: { name: 'npm run admin --', description: 'Commands for operators' },
    subCommands: {
      account: accountCommand,
      audit: auditCommand,
      config: configCommand,
      dev: devCommand,
      jobs: jobsCommand,
      key: keyCommand,
      purge: purgeCommand,
      quota: quotaCommand,
      retention: retentionCommand,
      restore: restoreCommand,
    },
  }),
);
