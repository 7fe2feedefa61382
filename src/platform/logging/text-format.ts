import type { DestinationStream } from 'pino';
import { logEvents } from './log-events.ts';
import type { LogEventName } from './log-events.ts';

/** A parsed JSON line of pino. */
interface LogLine {
  readonly level: string;
  readonly time: string;
  readonly event: LogEventName;
  readonly [field: string]: string | number | boolean;
}

/**
 * Creates a destination that writes each JSON line of pino as one line of text, with the declared text of the event.
 */
export function textDestination(output: DestinationStream): DestinationStream {
  return { write: (line) => output.write(`${textOf(JSON.parse(line) as LogLine)}\n`) };
}

function textOf(line: LogLine): string {
  const { text } = logEvents[line.event];
  const known = text.replaceAll(/\[([^\]]*)\]/g, (_brackets, part: string) =>
    fieldsIn(part).every((field) => line[field] !== undefined) ? part : '',
  );
  const filled = known.replaceAll(/\{(\w+)\}/g, (_braces, field: string) => String(line[field] ?? 'unknown'));
  const label = line.level === 'info' ? '' : `${line.level}: `;
  const { process } = line;
  // The parent of several processes logs about a process, whose number is in the text then.
  const number = process === undefined || text.includes('{process}') ? '' : `[process ${process}] `;
  return `${line.time.slice(0, 19)}Z ${number}${label}${filled}`;
}

/** Returns the names of the fields that `text` contains as `{field}`. */
export function fieldsIn(text: string): readonly string[] {
  return [...text.matchAll(/\{(\w+)\}/g)].map(([, field = '']) => field);
}
