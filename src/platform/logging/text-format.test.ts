import { describe, expect, test } from 'vitest';
import { logEvents } from './log-events.ts';
import type { LogEventName, LogFields } from './log-events.ts';
import { createLogger } from './logger.ts';
import { fieldsIn, textDestination } from './text-format.ts';

const names = Object.keys(logEvents) as LogEventName[];

function logged<Name extends LogEventName>(event: Name, fields: LogFields<Name>): string {
  const lines: string[] = [];
  createLogger('trace', textDestination({ write: (line) => void lines.push(line) })).log(event, fields);
  return lines.join('');
}

describe.for(names)('the text of %s', (name) => {
  const { text, fields } = logEvents[name];

  test('names each declared field once, and no other', () => {
    expect(fieldsIn(text).toSorted()).toEqual(Object.keys(fields).toSorted());
  });

  test('is one plain line without any field', () => {
    expect(logged(name, {})).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ [^{}[\]\n]+\n$/);
    expect(logged(name, {})).not.toContain('undefined');
  });
});

test('a line has the time, the level of a warning or an error, and the values', () => {
  expect(logged('quota_store_changed', { state: 'local' })).toMatch(/Z warn: .* counted in the local store\n$/);
  expect(logged('request_failed', { requestId: '0123456789abcdef', errorClass: 'TypeError', at: 'app.ts:7' })).toMatch(
    /Z error: Request 0123456789abcdef failed: TypeError, at app[.]ts:7\n$/,
  );
  expect(logged('server_listening', { port: 8080, startupMs: 12 })).toMatch(
    /Z The server listens on port 8080, after 12 ms\n$/,
  );
});

test('text that a field does not declare reaches no line', () => {
  const told = logged('request_failed', { requestId: 'did:plc:alice\n[31m', at: 'hello\nworld', sqlstate: '{port}' });
  expect(told).toMatch(/Z error: Request invalid failed: unknown, SQLSTATE invalid, at invalid\n$/);
  const undeclared = { did: 'did:plc:alice' } as LogFields<'server_stopping'>;
  expect(logged('server_stopping', undeclared)).toMatch(/Z The server stops \(unknown\)\n$/);
});
