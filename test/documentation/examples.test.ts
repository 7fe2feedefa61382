import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPeople, makeExampleCalls } from '../contract/example-calls.ts';
import { startLoopbackPds } from '../support/network/loopback-pds.ts';
import type { LoopbackPds } from '../support/network/loopback-pds.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { hasCurl, prepareCurl } from './curl-examples.ts';
import { methodNames } from './method-page.ts';
import { createPrintedCalls, inTypeScript, withCurl } from './printed-calls.ts';
import { writeExampleModules } from './typescript-examples.ts';
import type { ExampleModules } from './typescript-examples.ts';

let bed: TestBed;
let pds: LoopbackPds;
let modules: ExampleModules;

beforeAll(async () => {
  pds = await startLoopbackPds();
  bed = await startTestBed({ env: { BLOCK_CHECKS: 'true' } });
  modules = await writeExampleModules();
});
afterAll(async () => {
  await bed.stop();
  await pds.close();
});

describe('the example on the page of every method', { timeout: 120_000 }, () => {
  test('in TypeScript has the types of the client', () => modules.checkTypes());

  test('in TypeScript runs as printed, and the response fits the lexicon', async () => {
    const calls = createPrintedCalls(inTypeScript(modules));
    await makeExampleCalls(calls, createPeople(bed, pds), pds);
    expect([...calls.succeeded].toSorted()).toEqual([...methodNames].toSorted());
  });

  test.skipIf(!hasCurl)('for curl runs as printed, and the response fits the lexicon', async () => {
    const calls = createPrintedCalls(withCurl(await prepareCurl()));
    await makeExampleCalls(calls, createPeople(bed, pds), pds);
    expect([...calls.succeeded].toSorted()).toEqual([...methodNames].toSorted());
  });
});
