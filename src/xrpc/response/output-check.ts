import type { Config } from '#platform/config/config.ts';
import { InvariantError } from '#platform/errors.ts';
import type { Endpoint, MethodEndpoint } from '../endpoint.ts';
import { parseJson } from '../input/json-text.ts';

/** In development one of this many outputs is checked, because a check takes longer than writing the output. */
const sampledEach = 100;
const bounds = { depthMax: 100, valuesMax: Infinity, keyLengthMax: 256 };

/**
 * Returns `endpoints` with outputs that are checked against their lexicons: every output in tests, one of a hundred of
 * each method in development, and none in production. The check reads the bytes that the client gets, so it does not
 * depend on how they were written.
 */
export function checkOutputs(endpoints: readonly Endpoint[], environment: Config['NODE_ENV']): readonly Endpoint[] {
  if (environment === 'production') return endpoints;
  const each = environment === 'test' ? 1 : sampledEach;
  return endpoints.map((endpoint) => ('call' in endpoint ? checked(endpoint, each) : endpoint));
}

function checked(endpoint: MethodEndpoint, each: number): MethodEndpoint {
  let count = 0;
  return {
    ...endpoint,
    async call(request) {
      const body = await endpoint.call(request);
      if (count++ % each === 0) requireFit(endpoint, body);
      return body;
    },
  };
}

/** @throws InvariantError when the body is not JSON or does not fit the lexicon. */
function requireFit({ output }: MethodEndpoint, body: string | Buffer): void {
  const parsed = parseJson(Buffer.from(body), bounds);
  if ('problem' in parsed) throw new InvariantError('output is not JSON');
  if (output !== undefined && !output.safeValidate(parsed.value).success) {
    throw new InvariantError('output does not fit the lexicon');
  }
}
