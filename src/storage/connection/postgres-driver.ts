import { createRequire, registerHooks } from 'node:module';
import type postgresJs from 'postgres';
import { InvariantError, required } from '#platform/errors.ts';

/**
 * Replacements in the source text of postgres.js 3.4.9 that correct its handling of closed connections (its issues
 * 1066, 1154 and 1208, which no release corrects) and add the binary format of values (docs/decisions/0026). Each text
 * must occur exactly once, so that no other release runs without a review.
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
    // Sends parameters in the binary format where there is one. The list of parameters stays as it is: a statement that
    // is sent again, because its plan is out of date, would have encoded the parameters twice.
    [
      "Bind(parameters, types, statement = '', portal = '') {\n    let prev\n      , type\n",
      "Bind(q, parameters = q.parameters, { types, name = '', formats } = q.statement, portal = q.cursorName || '') {\n    let prev\n      , type\n    const encoded = parameters.map((x, i) => x === null ? null : options.binary?.encode(x, types[i]))\n    q.isBinary = formats !== undefined && q.isRaw !== true\n",
    ],
    ['Bind(q.parameters, q.statement.types, q.statement.name, q.cursorName)', 'Bind(q)'],
    [
      'str(statement + b.N).i16(0).i16(parameters.length)\n',
      'str(name + b.N).i16(parameters.length)\n    encoded.forEach(x => b.i16(x ? 1 : 0))\n    b.i16(parameters.length)\n',
    ],
    [
      'type = types[i]\n      parameters[i] = x = type',
      'if (encoded[i])\n        return b.i32(encoded[i].length).bytes(encoded[i])\n\n      type = types[i]\n      x = type',
    ],
    // Requests results in the binary format where there is one. A statement with parameters is executed when its columns
    // are known, not when only its parameters are.
    ['    b.i16(0)\n\n    return b.end()', '    q.isBinary ? b.bytes(formats) : b.i16(0)\n\n    return b.end()'],
    [
      '    query.describeFirst && !query.onlyDescribe && (write(prepared(query)), query.describeFirst = false)\n  }\n',
      '  }\n\n  function executeDescribed() {\n    query.describeFirst && !query.onlyDescribe && (write(prepared(query)), query.describeFirst = false)\n  }\n',
    ],
    ['result.statement.columns = []\n', 'result.statement.columns = []\n    executeDescribed()\n'],
    ['parser: parsers[type],\n', 'parser: parsers[type],\n        decode: options.binary?.decoders[type],\n'],
    [
      'index += 18\n    }\n',
      'index += 18\n    }\n    const { columns } = query.statement\n    columns.some(x => x.decode) && (query.statement.formats = Buffer.from([length >> 8, length, ...columns.flatMap(x => [0, x.decode ? 1 : 0])]))\n    executeDescribed()\n',
    ],
    [
      ': column.parser === undefined\n',
      ': query.isBinary && column.decode !== undefined\n            ? column.decode(x, index, index += length)\n          : column.parser === undefined\n',
    ],
    // Writes a message without a copy: the buffers of messages are not used again.
    ['Buffer.concat([chunk, x]) : Buffer.from(x)', 'Buffer.concat([chunk, x]) : x'],
  ],
  '/postgres/cjs/src/bytes.js': [
    [
      '  raw(x) {',
      '  bytes(x) {\n    fit(x.length)\n    buffer.set(x, b.i)\n    b.i += x.length\n    return b\n  },\n  raw(x) {',
    ],
  ],
  '/postgres/cjs/src/index.js': [
    [
      'socket          : o.socket,',
      'socket          : o.socket,\n    answer_timeout  : o.answer_timeout,\n    binary          : o.binary,',
    ],
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
