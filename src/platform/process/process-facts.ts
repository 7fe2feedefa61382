/** Facts about the process that are checked in production and are not settings. */
export interface ProcessFacts {
  /** Undefined on systems without user ids. */
  readonly uid: number | undefined;
  /** Command line options of Node. */
  readonly nodeOptions: readonly string[];
}

export function factsOfThisProcess(): ProcessFacts {
  return { uid: process.getuid?.(), nodeOptions: process.execArgv };
}

/** Node options that weaken security, each with the start of its text and its effect. */
const dangerousOptions: readonly (readonly [start: string, effect: string])[] = [
  ['--insecure-http-parser', 'makes Node accept requests that proxies read differently'],
  ['--inspect', 'lets every user of this machine run code in the service'],
  ['--tls-keylog', 'writes the keys of connections to a file'],
  ['--tls-min-v1.0', 'allows broken versions of TLS'],
  ['--tls-min-v1.1', 'allows broken versions of TLS'],
];

/** Returns the problems of a process in production, each with its remedy. */
export function processProblems(
  facts: ProcessFacts,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const problems: string[] = [];
  if (facts.uid === 0)
    problems.push('The service runs as root. Run it as a user of its own (User= or DynamicUser= in the systemd unit).');
  const options = [...facts.nodeOptions, ...(env['NODE_OPTIONS'] ?? '').split(/\s+/)].map((option) =>
    option.replaceAll(/["_]/g, (mark) => (mark === '_' ? '-' : '')),
  );
  for (const [start, effect] of dangerousOptions) {
    if (options.some((option) => option.startsWith(start)))
      problems.push(`NODE_OPTIONS: ${start} ${effect}. Remove it, also from the command line.`);
  }
  if (env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0')
    problems.push(
      'NODE_TLS_REJECT_UNAUTHORIZED: is 0, so that no certificate is verified. Remove it; name a private authority with NODE_EXTRA_CA_CERTS.',
    );
  for (const name of ['NODE_DEBUG', 'DEBUG', 'SSLKEYLOGFILE']) {
    if (!['', '0', 'false', undefined].includes(env[name]))
      problems.push(`${name}: makes libraries write out what they send and receive, tokens included. Remove it.`);
  }
  return problems;
}
