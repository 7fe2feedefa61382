import { defineCommand } from 'citty';
import { acceptTokens, refuseTokens } from '#auth/refuse-tokens.ts';
import type { OperatorCommand } from '#ops/operator-actions.ts';
import { readConfig } from '#platform/config/config.ts';
import { isAppError } from '#platform/errors.ts';
import { loadKeyRing } from '#privacy/load-key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { recordAction } from '../record-action.ts';
import { withDatabase } from '../with-database.ts';
import { command, UsageError } from './command.ts';

type AccountCommand = Extract<OperatorCommand, `account.${string}`>;
type Deps = Parameters<typeof refuseTokens>[0];

/** Records the action of the operator, runs `task`, and prints its result, which must not name the account. */
async function onAccount(action: AccountCommand, task: (deps: Deps) => Promise<string>): Promise<void> {
  const config = readConfig(process.env);
  const { ring } = await loadKeyRing({ identityKey: config.IDENTITY_KEY, dataDir: config.DATA_DIR });
  const done = await withDatabase(config, async (database) => {
    await recordAction({ config, database }, action, 'none');
    return task({ sql: database.sql, privacy: createPrivacy(ring) });
  }).catch((error: unknown) => {
    const isUnusable = isAppError(error) && error.code === 'BadJwtIssuer';
    throw isUnusable ? new UsageError('Give a bare DID: did:plc:… or did:web:host.') : error;
  });
  console.log(done);
}

function timeOf(at: string): Date | 'now' {
  if (at === 'now') return 'now';
  const time = new Date(/^\d{4}-\d\d-\d\dT.*(?:Z|[+-]\d\d:\d\d)$/.test(at) ? at : Number.NaN);
  if (Number.isNaN(time.getTime())) throw new UsageError('Give --at as "now" or as 2026-01-31T12:00:00Z.');
  return time;
}

async function setNotBefore(deps: Deps, did: string, at: Date | 'now'): Promise<string> {
  const time = await refuseTokens(deps, did, at);
  return `Tokens issued before ${time?.toISOString() ?? ''} are refused.`;
}

async function clear(deps: Deps, did: string): Promise<string> {
  return (await acceptTokens(deps, did)) ? 'Tokens of the account are accepted again.' : 'Nothing was refused.';
}

const did = { type: 'positional', required: true, description: 'did:plc:… or did:web:host' } as const;

const notBefore = defineCommand({
  meta: {
    name: 'not-before',
    description:
      'Refuse tokens of an account issued before a time, and close its open streams; a new time replaces the old one',
  },
  args: {
    did,
    at: { type: 'string', default: 'now', description: '"now", or a time such as 2026-01-31T12:00:00Z' },
    clear: { type: 'boolean', default: false, description: 'Accept these tokens again' },
  },
  run: ({ args }) =>
    command(() => {
      const at = timeOf(args.at);
      return onAccount('account.not_before', (deps) =>
        args.clear ? clear(deps, args.did) : setNotBefore(deps, args.did, at),
      );
    }),
});

const suspend = defineCommand({
  meta: { name: 'suspend', description: 'Refuse every token of an account until "resume"; its stored data stays' },
  args: { did },
  run: ({ args }) =>
    command(() =>
      onAccount('account.suspend', async (deps) => {
        await refuseTokens(deps, args.did, 'forever');
        return 'Every token of the account is refused.';
      }),
    ),
});

const resume = defineCommand({
  meta: { name: 'resume', description: 'Accept tokens of an account again' },
  args: { did },
  run: ({ args }) => command(() => onAccount('account.resume', (deps) => clear(deps, args.did))),
});

export const accountCommand = defineCommand({
  meta: { name: 'account', description: 'Refuse or accept the tokens of an account' },
  subCommands: { 'not-before': notBefore, suspend, resume },
});
