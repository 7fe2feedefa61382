import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { methodNames } from '#xrpc/mls/endpoints.ts';
import { projectRoot } from '../conventions/source-tree.ts';
import { startFuzzStage } from './fuzz-stage.ts';
import type { FuzzStage } from './fuzz-stage.ts';
import { readMethods } from './lexicon-schema.ts';

/** Other cases every day, the same all day long. */
const seed = Number(process.env['FUZZ_SEED'] ?? new Date().toISOString().slice(0, 10).replaceAll('-', ''));
const cases = 200;
const lagMsMax = 3_000;
const methods = readMethods(join(projectRoot, 'lexicons/blue/catbird/mls'));

let stage: FuzzStage;
beforeAll(async () => {
  stage = await startFuzzStage();
});
afterAll(() => stage.close());

describe(`whatever is sent, nothing breaks and no rule of a lexicon is passed by (FUZZ_SEED=${seed})`, () => {
  test.for(methods)('$name', { timeout: 120_000 }, async (method) => {
    const { violations, sent, accepted, refusals } = await stage.run(method, { cases, seed });
    expect(violations, `FUZZ_SEED=${seed}`).toEqual([]);
    expect(sent).toBe(cases);
    expect(accepted, 'calls that were answered').toBeGreaterThan(0);
    expect(refusals['RateLimitExceeded'] ?? 0, 'calls that a quota kept from being judged').toBeLessThan(cases / 20);
    expect(stage.lagMsMax()).toBeLessThan(lagMsMax);
  });

  test('every method of the service was among them', () => {
    expect(methods.map(({ name }) => name).toSorted()).toEqual([...methodNames].toSorted());
  });
});
