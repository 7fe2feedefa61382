import { settingGroups, settings } from '#platform/config/settings.ts';
import type { Setting } from '#platform/config/settings.ts';

const rows = Object.entries<Setting>(settings);

/** Returns the text of `.env.example`, with every setting commented out and its default or an example. */
export function envExample(): string {
  const lines = [
    '# Every setting of Nightjar. Nothing here is required to try it: `npm start` works without this file.',
    '# Copy to .env and uncomment what you change. A setting marked [secret] may come from a file instead: <NAME>_FILE=/path.',
    '# Written by `npm run codegen` from src/platform/config/settings.ts; do not edit.',
  ];
  for (const group of settingGroups) {
    lines.push('', `# --- ${group} ---`);
    for (const [name, row] of rows.filter(([, candidate]) => candidate.group === group)) {
      lines.push('', ...wrapped(`${row.secret ? '[secret] ' : ''}${row.about}`, 116).map((line) => `# ${line}`));
      lines.push(`#${name}=${shownValue(row)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Returns the text of `docs/settings.md`, with one table for each group. */
export function settingsPage(): string {
  const lines = [
    '# Settings',
    '',
    'Every setting is an environment variable; `npm` scripts also read `.env`. An invalid value prevents the start, and all',
    'problems are reported together. A **secret** may come from a file instead: set `<NAME>_FILE` to its path.',
    '',
    'Written by `npm run codegen` from `src/platform/config/settings.ts`; do not edit.',
  ];
  for (const group of settingGroups) {
    lines.push('', `## ${group}`, '', '| Name | Default | Meaning |', '| --- | --- | --- |');
    for (const [name, row] of rows.filter(([, candidate]) => candidate.group === group)) {
      lines.push(`| \`${name}\` | ${shownDefault(row)} | ${meaning(row)} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function shownValue(row: Setting): string {
  return row.fallback === undefined || row.fallback === '' ? (row.example ?? '') : row.fallback;
}

function shownDefault(row: Setting): string {
  if (row.fallback === undefined) return 'unset';
  return row.fallback === '' ? 'empty' : `\`${row.fallback}\``;
}

function meaning(row: Setting): string {
  const example = row.example === undefined ? '' : ` Example: \`${row.example}\`.`;
  return `${row.secret ? '**Secret.** ' : ''}${row.about.replaceAll('<', '&lt;')}${example}`.replaceAll('|', '\\|');
}

function wrapped(text: string, widthMax: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > widthMax) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
