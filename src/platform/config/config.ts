import { processProblems } from '../process/process-facts.ts';
import type { ProcessFacts } from '../process/process-facts.ts';
import { productionProblems } from './production-checks.ts';
import { readSecretFile } from './secret-file.ts';
import { unknownVariables } from './setting-names.ts';
import { settings } from './settings.ts';
import type { ParsedSettings, Setting } from './settings.ts';

/** The parsed value of every setting, by the name of its environment variable. */
export type Config = ParsedSettings;

/** The error for a configuration with which the process cannot start. `problems` contains one line for each reason. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  /** Whether the problem may end without a change by the operator, for example when Postgres is still starting. */
  readonly isTemporary: boolean;

  constructor(problems: readonly string[], options: { readonly isTemporary?: boolean } = {}) {
    super(`The configuration cannot be used:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.problems = problems;
    this.isTemporary = options.isTemporary ?? false;
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads every setting from `env`, and a secret also from the file that `<NAME>_FILE` names. In production, `facts` of
 * the process are checked too if they are given.
 * @throws ConfigError that names all problems and their remedies, and never contains a value.
 */
export function readConfig(env: Environment, facts?: ProcessFacts): Config {
  const problems: string[] = unknownVariables(env);
  const isProduction = env['NODE_ENV'] === 'production';
  if (isProduction && facts !== undefined) problems.push(...processProblems(facts, env));
  const config: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries<Setting>(settings)) {
    const read = readSetting(env, name, setting);
    if ('problem' in read) problems.push(read.problem);
    else config[name] = read.value;
  }
  // The production checks skip settings that have a problem already, because such a setting is missing from `config`.
  const unreadable = new Set(problems.map((problem) => problem.slice(0, problem.search(/(_FILE)?:/))));
  // The cast is correct when there are no problems, because every setting was then parsed by its schema.
  const parsed = config as Config;
  problems.push(
    ...productionProblems(parsed).filter((problem) => !unreadable.has(problem.slice(0, problem.indexOf(':')))),
  );
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(parsed);
}

/** Removes the secrets from `env`, so that child processes, crash reports and libraries cannot read them. */
export function removeSecrets(env: Record<string, string | undefined>): void {
  for (const [name, setting] of Object.entries<Setting>(settings)) if (setting.secret) delete env[name];
}

function readSetting(
  env: Environment,
  name: string,
  setting: Setting,
): { readonly value: unknown } | { readonly problem: string } {
  const raw = rawValue(env, name, setting);
  if ('problem' in raw) return raw;
  const parsed = setting.schema.safeParse(raw.text ?? setting.fallback);
  if (parsed.success) return { value: parsed.data };
  return { problem: `${name}: ${parsed.error.issues[0]?.message ?? 'is not valid'}. ${setting.about}` };
}

function rawValue(
  env: Environment,
  name: string,
  setting: Setting,
): { readonly text: string | undefined } | { readonly problem: string } {
  const given = env[name] === '' ? undefined : env[name];
  const variable = `${name}_FILE`;
  const path = setting.secret ? env[variable] : undefined;
  if (path === undefined || path === '') return { text: given };
  if (given !== undefined) return { problem: `${name}: is set, and ${variable} as well. Remove one of them.` };
  return readSecretFile({
    variable,
    path,
    credentialsFolder: env['CREDENTIALS_DIRECTORY'],
    mayBeShared: env['NODE_ENV'] !== 'production',
  });
}
