import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { methodNames } from '#xrpc/mls/endpoints.ts';
import { projectRoot } from '../conventions/source-tree.ts';
import { startFuzzServer } from './fuzz-server.ts';
import type { FuzzServer } from './fuzz-server.ts';
import { readMethods } from './lexicon-schema.ts';

/** The cases change every day and stay the same within a day. */
const seed = Number(process.env['FUZZ_SEED'] ?? new Date().toISOString().slice(0, 10).replaceAll('-', ''));
const cases = 200;
const lagMsMax = 3_000;
const methods = readMethods(join(projectRoot, 'lexicons/blue/catbird/mls'));

let server: FuzzServer;
beforeAll(async () => {
  server = await startFuzzServer();
});
afterAll(() => server.close());

describe(`generated requests cause no server error and pass no lexicon rule (FUZZ_SEED=${seed})`, () => {
  test.for(methods)('$name', { timeout: 120_000 }, async (method) => {
    const { violations, sent, accepted, refusals } = await server.run(method, { cases, seed });
    expect(violations, `FUZZ_SEED=${seed}`).toEqual([]);
    expect(sent).toBe(cases);
    expect(accepted, 'accepted calls').toBeGreaterThan(0);
    expect(refusals['RateLimitExceeded'] ?? 0, 'calls that a quota refused before any other check').toBeLessThan(
      cases / 20,
    );
    expect(server.lagMsMax()).toBeLessThan(lagMsMax);
  });

  test('every method of the service was called', () => {
    expect(methods.map(({ name }) => name).toSorted()).toEqual([...methodNames].toSorted());
  });
});
