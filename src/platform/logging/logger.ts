import { pino } from 'pino';
import type { DestinationStream } from 'pino';
import { logEvents } from './log-events.ts';
import type { FieldKind, LogEventName, LogFields, LogLevel } from './log-events.ts';

/** Writes declared events only; there is no way to log free text. */
export interface Logger {
  log<Name extends LogEventName>(event: Name, fields: LogFields<Name>): void;
}

const patterns = {
  sqlstate: /^[0-9A-Z]{5}$/,
  requestId: /^[0-9a-f]{16}$/,
  frames: /^[\w@./:+ -]{0,600}$/,
} as const;

/** A JSON-lines logger at `level`; a value that does not fit its declared kind is written as `"invalid"`. */
export function createLogger(level: LogLevel | 'silent', destination?: DestinationStream): Logger {
  const sink = pino(
    {
      level,
      base: null,
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

/** What may be said of an unexpected error: its class, its SQLSTATE, and where in the code it arose; never its text. */
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
