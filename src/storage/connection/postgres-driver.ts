import { createRequire, registerHooks } from 'node:module';
import type postgresJs from 'postgres';
import { InvariantError, required } from '#platform/errors.ts';

/**
 * Corrections of postgres.js 3.4.9, its newest release, for errors when a connection ends (its issues 1066, 1154 and
 * 1208, without a release since 2025). Each correction replaces a text that must occur exactly once, so that another
 * release must be reviewed first.
 */
type Corrections = readonly (readonly [string, string])[];

const corrections: Readonly<Record<string, Corrections>> = {
  '/postgres/cjs/src/connection.js': [
    // A write that was pending when the socket closed threw an uncaught error, or blocked all later writes of its
    // connection.
    [
      'const x = socket.write(chunk, fn)',
      'if (!socket) return (chunk = nextWriteTimer = null, true)\n    const x = socket.write(chunk, fn)',
    ],
    [
      'clearImmediate(nextWriteTimer)\n    if (socket) {',
      'clearImmediate(nextWriteTimer)\n    chunk = nextWriteTimer = null\n    if (socket) {',
    ],
    [
      'clearImmediate(nextWriteTimer)\n    socket.removeListener',
      'clearImmediate(nextWriteTimer)\n    chunk = nextWriteTimer = null\n    answerTimer.cancel()\n    socket.removeListener',
    ],
    // A statement of a caller that had not yet been notified of the closed connection waited forever.
    [
      'if (q.cancelled)\n      return\n',
      "if (q.cancelled)\n      return\n\n    if (!socket)\n      return (queryError(q, Errors.connection('CONNECTION_CLOSED', options)), true)\n",
    ],
    // A server that accepts a connection and closes it at once was called again without a pause and without a limit.
    [
      'if (initial)\n      return reconnect()',
      'if (initial && options.host[retries + 1])\n      return reconnect()\n\n    initial && (hadError = false, options.shared.retries++)',
    ],
    ['!hadError && (query || sent.length) && error(', '!hadError && (query || sent.length || initial) && error('],
    // A failure of the driver's own first query on a new connection was an unhandled rejection.
    ['return fetchArrayTypes()', 'return fetchArrayTypes().catch(noop)'],
    // A connection without a response within `answer_timeout` is closed.
    [
      'connectTimer = timer(connectTimedOut, options.connect_timeout)',
      'connectTimer = timer(connectTimedOut, options.connect_timeout)\n      , answerTimer = timer(connectTimedOut, options.answer_timeout)',
    ],
    ['      build(q)\n', '      build(q)\n      answerTimer.start()\n'],
    ['  function data(x) {\n', '  function data(x) {\n    ;(query || sent.length) && answerTimer.start()\n'],
    [
      '    query = results = errorResponse = null\n',
      '    query = results = errorResponse = null\n    sent.length || answerTimer.cancel()\n',
    ],
  ],
  '/postgres/cjs/src/index.js': [
    ['socket          : o.socket,', 'socket          : o.socket,\n    answer_timeout  : o.answer_timeout,'],
    // A caller whose connection attempt had failed received, and kept, a connection that was opened later.
    [
      'const query = { reserve: resolve, reject }',
      'const query = { reserve: resolve, reject: e => (queries.remove(query), reject(e)) }',
    ],
    // A connection that was closed and reopened belongs to another caller.
    [
      'c.reserved.release = true\n',
      'c.reserved.release = true\n    let lost\n    c.onclose = e => {\n      lost = e\n      while (queue.length) queue.shift().reject(e)\n    }\n',
    ],
    [
      'c.reserved = null\n      onopen(c)',
      'if (lost)\n        return\n\n      c.onclose = null\n      c.reserved = null\n      onopen(c)',
    ],
    [
      'function handler(q) {\n      c.queue === full\n        ? queue.push(q)',
      'function handler(q) {\n      if (lost)\n        return q.reject(lost)\n\n      c.queue === full\n        ? queue.push(q)',
    ],
    [
      'connection.onclose = reject',
      'connection.onclose = e => {\n          lost = e\n          while (queries.length) queries.shift().reject(e)\n          reject(e)\n        }',
    ],
    ['let savepoints = 0\n', 'let savepoints = 0\n      , lost\n'],
    [
      'q.catch(e => uncaughtError || (uncaughtError = e))\n',
      'q.catch(e => uncaughtError || (uncaughtError = e))\n        if (lost)\n          return q.reject(lost)\n\n',
    ],
  ],
};

/** @throws InvariantError when the source is not that of the corrected release. */
function corrected(source: string, changes: Corrections): string {
  let text = source;
  for (const [from, to] of changes) {
    if (text.split(from).length !== 2)
      throw new InvariantError('this release of postgres.js is not the one that the corrections are for');
    text = text.replace(from, () => to);
  }
  return text;
}

function textOf(source: string | ArrayBuffer | NodeJS.TypedArray | null | undefined): string {
  return typeof source === 'string' ? source : new TextDecoder().decode(required(source, 'the source of postgres.js'));
}

function loadCorrected(): typeof postgresJs {
  const hooks = registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const [, changes] = Object.entries(corrections).find(([path]) => url.endsWith(path)) ?? [];
      return changes === undefined ? loaded : { ...loaded, source: corrected(textOf(loaded.source), changes) };
    },
  });
  try {
    // The CommonJS build: a test that imports the ES build does not share it.
    return createRequire(import.meta.url)('postgres') as typeof postgresJs;
  } finally {
    hooks.deregister();
  }
}

export const postgres = loadCorrected();
