import { afterAll, expect, test } from 'vitest';
import { bucketSizeBytes, pad, unpad } from '#client/conversation/padding.ts';
import type { MlsVectorFile } from '../../bin/codegen/test-vectors/mls-vectors.ts';
import type { PaddingVector } from '../../bin/codegen/test-vectors/padding-vectors.ts';
import type { VectorFile } from '../../bin/codegen/test-vectors/vector-file.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { readVectors } from './read-vectors.ts';
import { openVectorGroup } from './vector-group.ts';
import type { VectorGroup } from './vector-group.ts';

const { vectors } = await readVectors<VectorFile<PaddingVector>>('padding');
const mls = await readVectors<MlsVectorFile>('mls');
const prefixSizeBytes = 4;
let bed: TestBed | undefined;
afterAll(() => bed?.stop());

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** What @nightjar/client computes otherwise. */
function wrongOfClient({ name, message, messageSizeBytes, padded, paddedSizeBytes, verdict }: PaddingVector): string[] {
  const wrong: string[] = [];
  if (messageSizeBytes !== undefined && bucketSizeBytes(messageSizeBytes + prefixSizeBytes) !== paddedSizeBytes) {
    wrong.push(`${name}: ${bucketSizeBytes(messageSizeBytes + prefixSizeBytes)}`);
  }
  if (message === undefined || padded === undefined || verdict?.status !== 200) return wrong;
  if (hex(pad(Buffer.from(message, 'hex'))) !== padded) wrong.push(`${name}: other bytes`);
  if (hex(unpad(Buffer.from(padded, 'hex'))) !== message) wrong.push(`${name}: another message`);
  return wrong;
}

/** The group of mls.json in epoch 1. */
async function openGroup(): Promise<VectorGroup> {
  bed = await startTestBed();
  const group = openVectorGroup(bed, mls);
  for (const vector of mls.vectors) {
    if (/^(publishKeyPackage|createConvo)/.test(vector.field)) await group.send(vector);
  }
  return group;
}

async function wrongOfService(group: VectorGroup, planted: readonly PaddingVector[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const { name, padded, verdict } of planted) {
    if (padded === undefined) continue;
    const { status, error } = await group.sendMessage('alice', Buffer.from(padded, 'hex'), 1);
    if (status !== verdict?.status || error !== verdict.error) wrong.push(`${name}: ${status} ${error ?? ''}`);
  }
  return wrong;
}

test('@nightjar/client pads and reads as padding.json says', () => {
  expect(vectors.flatMap(wrongOfClient)).toEqual([]);
});

test('a server accepts and refuses each envelope of padding.json as the file says, and wrong vectors are reported', async () => {
  const group = await openGroup();
  expect(await wrongOfService(group, vectors)).toEqual([]);
  const [first] = vectors;
  const last = vectors.at(-1);
  if (first?.padded === undefined || last === undefined) throw new Error('there are no vectors');
  const changed = { ...first, padded: `${first.padded.slice(0, -2)}01` };
  expect(await wrongOfService(group, [changed, { ...last, verdict: { status: 200 } }])).toEqual([
    `${first.name}: 400 InvalidAsset`,
    `${last.name}: 400 InvalidAsset`,
  ]);
  expect([changed, { ...first, paddedSizeBytes: 1_024 }].flatMap(wrongOfClient)).toEqual([
    `${first.name}: other bytes`,
    `${first.name}: 512`,
  ]);
});
