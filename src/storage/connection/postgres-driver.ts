import { createRequire, registerHooks } from 'node:module';
import type postgresJs from 'postgres';
import { InvariantError, required } from '#platform/errors.ts';

/**
 * Replacements in the source text of postgres.js 3.4.9 that correct its handling of closed connections (its issues
 * 1066, 1154 and 1208, which no release corrects). Each text must occur exactly once, so that no other release runs
 * without a review.
 */
type Corrections = readonly (readonly [string, string])[];

const corrections: Readonly<Record<string, Corrections>> = {
  '/postgres/cjs/src/connection.js': [
    // Discards a pending write when the socket closes, because the write would throw an uncaught error or block all
    // later writes.
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
    // Rejects a statement that is sent on a closed connection, because the statement would wait forever.
    [
      'if (q.cancelled)\n      return\n',
      "if (q.cancelled)\n      return\n\n    if (!socket)\n      return (queryError(q, Errors.connection('CONNECTION_CLOSED', options)), true)\n",
    ],
    // Delays and limits the attempts to reconnect to a server that accepts a connection and closes it at once.
    [
      'if (initial)\n      return reconnect()',
      'if (initial && options.host[retries + 1])\n      return reconnect()\n\n    initial && (hadError = false, options.shared.retries++)',
    ],
    ['!hadError && (query || sent.length) && error(', '!hadError && (query || sent.length || initial) && error('],
    // Prevents an unhandled rejection when the driver's own first query on a new connection fails.
    ['return fetchArrayTypes()', 'return fetchArrayTypes().catch(noop)'],
    // Closes a connection that has not responded within `answer_timeout` seconds.
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
    // Removes a caller from the queue when its connection attempt fails, because the caller would receive a later
    // connection and never release it.
    [
      'const query = { reserve: resolve, reject }',
      'const query = { reserve: resolve, reject: e => (queries.remove(query), reject(e)) }',
    ],
    // Rejects the statements of a caller whose connection was closed, because the reopened connection belongs to
    // another caller.
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

/** Applies the corrections to a source text. @throws InvariantError when the text is of another release. */
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
    // This is the CommonJS build, so a test that imports the ES build gets a separate driver without corrections.
    return createRequire(import.meta.url)('postgres') as typeof postgresJs;
  } finally {
    hooks.deregister();
  }
}

export const postgres = loadCorrected();
