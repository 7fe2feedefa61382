import { defineCommand, runMain } from 'citty';
import { auditCommand } from './admin/audit.ts';
import { configCommand } from './admin/config.ts';
import { jobsCommand } from './admin/jobs.ts';
import { keyCommand } from './admin/key.ts';
import { quotaCommand } from './admin/quota.ts';

await runMain(
  defineCommand({
    meta: { name: 'npm run admin --', description: 'What an operator does by hand' },
    subCommands: {
      audit: auditCommand,
      config: configCommand,
      jobs: jobsCommand,
      key: keyCommand,
      quota: quotaCommand,
    },
  }),
);
