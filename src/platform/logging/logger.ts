import { pino } from 'pino';
import type { DestinationStream } from 'pino';
import type { Config } from '#platform/config/config.ts';
import { logEvents } from './log-events.ts';
import type { FieldKind, LogEventName, LogFields, LogLevel } from './log-events.ts';
import { textDestination } from './text-format.ts';

/** Logs declared events only, so that no free text can bring data of people into the log. */
export interface Logger {
  log<Name extends LogEventName>(event: Name, fields: LogFields<Name>): void;
}

const patterns = {
  sqlstate: /^[0-9A-Z]{5}$/,
  requestId: /^[0-9a-f]{16}$/,
  frames: /^[\w@./:+ -]{0,600}$/,
} as const;

export type LogFormat = 'json' | 'text';

/**
 * Creates the logger of a process, which writes JSON lines for programs or text for people to standard output. Each line
 * contains `processNumber` if it is given.
 */
export function createProcessLogger(
  format: LogFormat,
  { LOG_LEVEL, NODE_ENV }: Pick<Config, 'LOG_LEVEL' | 'NODE_ENV'>,
  processNumber?: number,
): Logger {
  const level = LOG_LEVEL ?? (NODE_ENV === 'production' ? 'warn' : 'info');
  const output = pino.destination({ fd: 1, sync: true });
  return createLogger(level, format === 'text' ? textDestination(output) : output, processNumber);
}

/**
 * Creates a logger that writes events of `level` and above as JSON lines. A value that does not match the declared kind
 * of its field is written as `"invalid"`.
 */
export function createLogger(
  level: LogLevel | 'silent',
  destination?: DestinationStream,
  processNumber?: number,
): Logger {
  const sink = pino(
    {
      level,
      base: processNumber === undefined ? null : { process: processNumber },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination ?? pino.destination({ fd: 1, sync: true }),
  );
  return {
    log(event, fields) {
      const declared = logEvents[event];
      const kinds: Readonly<Record<string, FieldKind>> = declared.fields;
      const line: Record<string, string | number | boolean> = { event };
      for (const [field, value] of Object.entries(fields)) {
        const kind = kinds[field];
        if (kind !== undefined && value !== undefined) line[field] = checked(kind, value);
      }
      sink[declared.level](line);
    },
  };
}

function checked(kind: FieldKind, value: unknown): string | number | boolean {
  if (kind === 'integer') return typeof value === 'number' && Number.isFinite(value) ? Math.round(value) : 'invalid';
  if (kind === 'boolean') return typeof value === 'boolean' ? value : 'invalid';
  if (typeof value !== 'string') return 'invalid';
  const fits = typeof kind === 'string' ? patterns[kind].test(value) : kind.includes(value);
  return fits ? value : 'invalid';
}

type ErrorClass = NonNullable<LogFields<'request_failed'>['errorClass']>;
const knownClasses: ReadonlySet<string> = new Set(logEvents.request_failed.fields.errorClass);

/**
 * Returns the class, the SQLSTATE and the code positions of an unexpected error for the log. The message is left out
 * because it may contain data.
 */
export function describeError(error: unknown): { errorClass: ErrorClass; sqlstate?: string; at?: string } {
  if (!(error instanceof Error)) return { errorClass: 'other' };
  const errorClass = knownClasses.has(error.name) ? (error.name as ErrorClass) : 'other';
  const code: unknown = 'code' in error ? error.code : undefined;
  const at = (error.stack ?? '')
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .map((line) => /(?:src|workers|bin|migrations|node_modules)\/([\w@./+-]+:\d+):\d+\)?$/.exec(line)?.[1])
    .filter((position) => position !== undefined)
    .slice(0, 6)
    .join(' ');
  return {
    errorClass,
    ...(typeof code === 'string' && patterns.sqlstate.test(code) ? { sqlstate: code } : {}),
    ...(at === '' ? {} : { at }),
  };
}
