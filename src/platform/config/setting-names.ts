import { settings } from './settings.ts';
import type { Setting, SettingName } from './settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const names = Object.keys(settings) as SettingName[];
const rows: Readonly<Record<string, Setting>> = settings;
const known: ReadonlySet<string> = new Set(
  names.flatMap((name) => (rows[name]?.secret ? [name, `${name}_FILE`] : [name])),
);

/** First words of setting names with which environment variables of unrelated programs begin too. */
const sharedWords: ReadonlySet<string> = new Set(
  'ADMIN ALLOW AUTH BLOCK CLIENT DATA DATABASE DENY EVENT HTTP IDENTITY LOG MAX MESSAGE NODE PUBLIC REDIS REQUEST SERVER SERVICE SHUTDOWN TIME WORKER'.split(
    ' ',
  ),
);

/**
 * The prefixes by which an unknown variable is taken for a misspelled setting. A prefix is the first word of a setting
 * (`RATE_`), or its first two words if unrelated programs use the first word too (`MAX_KEY_`).
 */
const ownPrefixes: ReadonlySet<string> = new Set([
  'NIGHTJAR_',
  ...names.flatMap((name) => {
    const [first = '', second, third] = name.split('_');
    if (!sharedWords.has(first)) return second === undefined ? [] : [`${first}_`];
    return third === undefined ? [] : [`${first}_${second}_`];
  }),
]);

/**
 * Returns a problem for each unknown variable that resembles a setting, with the setting that was probably intended.
 */
export function unknownVariables(env: Environment): string[] {
  const isSet = (name: string): boolean => env[name] !== undefined && env[name] !== '';
  return Object.keys(env)
    .filter((name) => isSet(name) && !known.has(name))
    .flatMap((name) => {
      const setting = rows[name.replace(/_FILE$/, '')];
      if (setting !== undefined)
        return [`${name}: only secrets may come from a file. Set ${name.slice(0, -5)} itself.`];
      const bare = name.toUpperCase().replace(/^NIGHTJAR_/, '');
      const [nearest = '', edits = Infinity] = nearestTo(bare);
      const isOurs = [...ownPrefixes].some((prefix) => name.startsWith(prefix));
      const isTypo = bare.length >= 8 && edits <= (bare.length >= 12 ? 2 : 1) && !isSet(nearest);
      return isOurs || isTypo ? [`${name}: there is no such setting. Did you mean ${nearest}? If not, remove it.`] : [];
    });
}

function nearestTo(name: string): [name: string, edits: number] | [] {
  const byDistance = [...known].map((each): [string, number] => [each, distance(each, name)]);
  const [nearest] = byDistance.toSorted(([, a], [, b]) => a - b);
  // For a name that was cut off, the setting that begins with the name is a better match than the nearest setting.
  const completed = byDistance.find(([each]) => each.startsWith(name));
  return nearest !== undefined && nearest[1] > 2 ? (completed ?? nearest) : (nearest ?? []);
}

/**
 * Returns the number of insertions, deletions, changes and swaps of neighbours that turn `a` into `b` (optimal string
 * alignment).
 */
function distance(a: string, b: string): number {
  let [earlier, previous]: [number[], number[]] = [[], Array.from({ length: b.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? (earlier[j - 2] ?? Infinity) + 1 : Infinity;
      row.push(Math.min(changed, swapped, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    [earlier, previous] = [previous, row];
  }
  return previous[b.length] ?? 0;
}
