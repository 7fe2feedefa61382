import { defineCommand } from 'citty';
import { systemClock } from '#platform/clock.ts';
import { command, UsageError } from './command.ts';
import { selftest } from './quota-selftest.ts';
import type { Finding } from './quota-selftest.ts';

async function runSelftest(url: string): Promise<void> {
  if (!/^https?:[/][/]/.test(url) || !URL.canParse(url)) {
    throw new UsageError('Give the address of the service, such as https://mls.example.org');
  }
  try {
    for await (const finding of selftest(url, systemClock)) {
      console.log(process.stdout.isTTY ? lineOf(finding) : JSON.stringify(finding));
      if (!finding.ok) process.exitCode = 1;
    }
  } catch (error) {
    const isUnreachable = error instanceof TypeError || (error instanceof Error && error.name === 'TimeoutError');
    throw isUnreachable
      ? new UsageError('The server does not respond. Check the address, and that the server is running.')
      : error;
  }
}

function lineOf({ check, ok, found, remedy }: Finding): string {
  const line = `${ok ? 'ok  ' : 'FAIL'}  ${check.padEnd(16)}${found}`;
  return remedy === undefined ? line : `${line}\n      ${remedy}`;
}

const selftestCommand = defineCommand({
  meta: {
    name: 'selftest',
    description: 'Test from outside, without credentials, that a running server limits requests',
  },
  args: { url: { type: 'positional', required: true, description: 'The URL under which clients reach the service' } },
  run: ({ args }) => command(() => runSelftest(args.url)),
});

export const quotaCommand = defineCommand({
  meta: { name: 'quota', description: 'Test the limits on requests' },
  subCommands: { selftest: selftestCommand },
});
