import { l } from '@atproto/lex-schema';
import { expect, test } from 'vitest';
import { encodedQuery } from '#xrpc/endpoint.ts';
import type { Endpoint } from '#xrpc/endpoint.ts';
import { checkOutputs } from './output-check.ts';

const lexicon = l.query(
  'com.example.page',
  l.params(),
  l.payload('application/json', l.object({ body: l.bytes(), size: l.integer() })),
);

function endpointsOf(output: string): Endpoint[] {
  const handler = (): Promise<Buffer> => Promise.resolve(Buffer.from(output));
  return [encodedQuery({ lexicon, auth: 'service-token', quota: 'callerDefault', handler })];
}

async function call([endpoint]: readonly Endpoint[]): Promise<string> {
  if (endpoint === undefined || !('call' in endpoint)) throw new Error('not a method');
  const caller = { did: 'did:plc:alicealicealicealicealic' };
  const body = await endpoint.call({ caller, search: '' });
  return body.toString();
}

const fitting = '{"body":{"$bytes":"AQID"},"size":3}';
const wrong: [string, string][] = [
  ['a field is missing', '{"body":{"$bytes":"AQID"}}'],
  ['a field has another type', '{"body":{"$bytes":"AQID"},"size":"3"}'],
  ['bytes are not base64', '{"body":{"$bytes":"AQI*"},"size":3}'],
  ['a key stands twice', '{"body":{"$bytes":"AQID"},"size":3,"size":4}'],
  ['a comma is missing', '{"body":{"$bytes":"AQID"}"size":3}'],
];

test.each(wrong)('in tests an output is refused when %s', async (_name, output) => {
  const endpoints = checkOutputs(endpointsOf(output), 'test');
  for (let calls = 0; calls < 3; calls++) await expect(call(endpoints)).rejects.toThrow(/^output /);
});

test('in tests an output that fits goes through unchanged', async () => {
  await expect(call(checkOutputs(endpointsOf(fitting), 'test'))).resolves.toBe(fitting);
});

test('in development one output of a hundred is checked, and in production none', async () => {
  const development = checkOutputs(endpointsOf('{}'), 'development');
  const production = checkOutputs(endpointsOf('{}'), 'production');
  let refused = 0;
  for (let calls = 0; calls < 200; calls++) {
    await call(development).catch(() => (refused += 1));
    await expect(call(production)).resolves.toBe('{}');
  }
  expect(refused).toBe(2);
});
