import { expect, test } from 'vitest';
import { isXrpc, newXrpcRequest } from './xrpc-request.ts';
import type { XrpcExchange } from './xrpc-request.ts';

test.each([
  ['GET', '/xrpc/com.example.describe', true],
  ['GET', '/xrpc/', true],
  ['GET', '/xrpc', true],
  ['GET', '/xrpc?a=b', true],
  ['GET', '/xrpc/_health', false],
  ['HEAD', '/xrpc/_health?a=b', false],
  ['POST', '/xrpc/_health', true],
  ['GET', '/xrpc/_healthy', true],
  ['GET', '/xrpcs', false],
  ['GET', '/', false],
])('%s %s belongs to the API: %s', (method, url, expected) => {
  expect(isXrpc({ method, url })).toBe(expected);
});

test.each([
  ['/xrpc/com.example.describe?limit=5&limit=6', 'com.example.describe', 'limit=5&limit=6'],
  ['/xrpc/com.example.describe', 'com.example.describe', ''],
  ['/xrpc?com.example.describe', '', 'com.example.describe'],
])('the method of %s is "%s", and its parameters are "%s"', (url, nsid, search) => {
  const { incoming, outgoing } = { incoming: { url }, outgoing: {} } as XrpcExchange;
  const request = newXrpcRequest({ incoming, outgoing });
  expect([request.nsid, request.search]).toEqual([nsid, search]);
});
