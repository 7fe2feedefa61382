import { defineCommand } from 'citty';
import { readConfig } from '#platform/config/config.ts';
import { loadKeyRing } from '#privacy/load-key-ring.ts';
import { readAuditEvents } from '#storage/rows/audit-events.ts';
import { readOperatorActions, verifyOperatorActions } from '#storage/rows/operator-actions.ts';
import { withDatabase } from '../with-database.ts';
import { command, UsageError } from './command.ts';

const unitSeconds: Readonly<Record<string, number>> = { m: 60, h: 3_600, d: 86_400 };

function secondsOf(since: string): number {
  const [, count, unit = ''] = /^(\d{1,5})([mhd])$/.exec(since) ?? [];
  const seconds = Number(count) * (unitSeconds[unit] ?? 0);
  if (!(seconds > 0)) throw new UsageError('Give --since as minutes, hours or days: 30m, 24h or 7d.');
  return seconds;
}

interface Line {
  readonly at: Date;
  readonly text: string;
  readonly fields: Readonly<Record<string, string | number>>;
}

async function listEvents(since: string, asJson: boolean): Promise<void> {
  const sinceSeconds = secondsOf(since);
  const lines = await withDatabase(readConfig(process.env), async ({ db }) => {
    const events = await readAuditEvents(db, sinceSeconds);
    const actions = await readOperatorActions(db, sinceSeconds);
    return [
      ...events.map(({ bucket, kind, subject, count }): Line => ({
        at: bucket,
        text: `${String(count).padStart(9)}  ${kind.padEnd(18)}${subject}`,
        fields: { kind, subject, count },
      })),
      ...actions.map(({ takenAt, actionNo, action, subject }): Line => ({
        at: takenAt,
        text: `${`#${actionNo}`.padStart(9)}  ${'operator'.padEnd(18)}${action} ${subject}`,
        fields: { kind: 'operator', action, subject, actionNo },
      })),
    ].toSorted((a, b) => a.at.getTime() - b.at.getTime());
  });
  for (const { at, text, fields } of lines) {
    const time = at.toISOString();
    console.log(asJson ? JSON.stringify({ at: time, ...fields }) : `${time.slice(0, 16)}Z ${text}`);
  }
  if (lines.length === 0 && !asJson) console.log('Nothing was recorded in this time.');
}

const list = defineCommand({
  meta: { name: 'list', description: 'List the counted events, by minute, and the operator actions' },
  args: {
    since: { type: 'string', default: '24h', description: 'How far back: 30m, 24h or 7d' },
    json: { type: 'boolean', default: false, description: 'One JSON object per line, also on a terminal' },
  },
  run: ({ args }) => command(() => listEvents(args.since, args.json || !process.stdout.isTTY)),
});

async function verifyChain(atLeast: number): Promise<void> {
  const config = readConfig(process.env);
  const report = await withDatabase(config, async ({ db }) => {
    const { ring } = await loadKeyRing({ identityKey: config.IDENTITY_KEY, dataDir: config.DATA_DIR });
    return verifyOperatorActions({ db, ring });
  });
  const { count, firstNo, lastNo, broken, uncheckable } = report;
  if (!process.stdout.isTTY) console.log(JSON.stringify(report));
  else if (count === 0) console.log('No operator action is recorded.');
  else
    console.log(`${count} operator actions, from #${firstNo} to #${lastNo}. Keep the last number to compare it later.`);
  if (uncheckable.length > 0)
    console.error(`${uncheckable.length} were written with a key that is not in IDENTITY_KEY and cannot be checked.`);
  if (!((lastNo ?? 0) >= atLeast))
    throw new UsageError(`There was an action #${atLeast}; the end of the chain is missing.`);
  if (broken.length > 0) {
    throw new UsageError(
      `The chain is broken at ${broken.map((actionNo) => `#${actionNo}`).join(', ')}: the action was changed, or others before it were added or removed.`,
    );
  }
}

const verify = defineCommand({
  meta: { name: 'verify', description: 'Check that no operator action was changed, added or removed' },
  args: {
    'at-least': { type: 'string', default: '0', description: 'The last number that an earlier check printed' },
  },
  run: ({ args }) => command(() => verifyChain(Number(args['at-least']))),
});

export const auditCommand = defineCommand({
  meta: { name: 'audit', description: 'Read and verify the audit log' },
  subCommands: { list, verify },
});
