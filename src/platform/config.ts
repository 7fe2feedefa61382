import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { settings } from './settings.ts';
import type { Setting, SettingName } from './settings.ts';

/** The parsed settings under their environment names. */
export type Config = Readonly<{ [Name in SettingName]: z.output<(typeof settings)[Name]['schema']> }>;

/** The environment does not describe a service that may start; `problems` lists every reason, one line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration cannot be used:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

const ownPrefixes = ['RATE_LIMIT_', 'NIGHTJAR_', 'TRUSTED_PROXY_', 'ENFORCE_', 'JTI_', 'DID_'] as const;

/**
 * Reads every setting from `env`, secrets also from the file that `<NAME>_FILE` names.
 * @throws ConfigError naming all bad settings at once and what to do about each.
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = unknownVariables(env);
  const config: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries<Setting>(settings)) {
    try {
      const raw = rawValue(env, name, setting) ?? setting.fallback;
      const parsed = setting.schema.safeParse(raw);
      if (parsed.success) config[name] = parsed.data;
      else problems.push(`${name}: ${parsed.error.issues[0]?.message ?? 'is not valid'}. ${setting.about}`);
    } catch {
      problems.push(`${name}_FILE: the file cannot be read. Check that it exists and who may read it.`);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  // Every name of `settings` was parsed by its own schema above.
  const parsed = config as Config;
  problems.push(...productionProblems(parsed));
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(parsed);
}

function rawValue(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
  setting: Setting,
): string | undefined {
  const value = env[name];
  if (value !== undefined && value !== '') return value;
  const file = setting.secret ? env[`${name}_FILE`] : undefined;
  return file === undefined || file === '' ? undefined : readFileSync(file, 'utf8').trim();
}

function unknownVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = new Set(
    Object.entries<Setting>(settings).flatMap(([name, row]) => (row.secret ? [name, `${name}_FILE`] : [name])),
  );
  return Object.keys(env)
    .filter((name) => ownPrefixes.some((prefix) => name.startsWith(prefix)) && !known.has(name))
    .map((name) => {
      const nearest = [...known].sort((a, b) => distance(a, name) - distance(b, name))[0];
      return `${name}: there is no such setting. Did you mean ${nearest}?`;
    });
}

function productionProblems(config: Config): string[] {
  if (config.NODE_ENV !== 'production') return [];
  const problems: string[] = [];
  if (config.SERVICE_DID === undefined)
    problems.push('SERVICE_DID: is required in production. Set it to the did:web of this host.');
  if (config.DATABASE_URL === undefined)
    problems.push('DATABASE_URL: is required in production. The embedded Postgres is for development.');
  if (config.IDENTITY_KEY === undefined)
    problems.push('IDENTITY_KEY: is required in production. Make one with: npm run admin -- key new');
  if (!config.ENFORCE_LXM) problems.push('ENFORCE_LXM: may not be false in production.');
  if (!config.ENFORCE_JTI) problems.push('ENFORCE_JTI: may not be false in production.');
  if (config.IDENTITY_ALLOW_PRIVATE_NETWORK)
    problems.push('IDENTITY_ALLOW_PRIVATE_NETWORK: may not be true in production.');
  return problems;
}

/** Levenshtein distance, to guess which setting was meant. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substitution, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
