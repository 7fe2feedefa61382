import { expect, it } from 'vitest';

import { limits } from '#platform/limits.ts';

import { MlsFormatError } from '../encoding/mls-format-error.ts';
import { readWelcome } from './welcome.ts';

function opaque(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  if (bytes.length < 64) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  length.writeUInt32BE(0x8000_0000 + bytes.length);
  return Buffer.concat([length, bytes]);
}

/** Creates a bare Welcome of suite 1 with `count` joiners and the smallest secrets that the structure allows. */
function welcome(count: number, refSizeBytes = 32): Buffer {
  const joiner = Buffer.concat([opaque(Buffer.alloc(refSizeBytes, 5)), Buffer.of(0, 0)]);
  const secrets = Buffer.concat(Array.from({ length: count }, () => joiner));
  if (secrets.length >= 64 && secrets.length < 16_384) throw new RangeError('this length needs two bytes');
  return Buffer.concat([Buffer.of(0, 1), opaque(secrets), Buffer.of(0)]);
}

it('reads a Welcome with the maximum number of joiners and refuses one joiner more', () => {
  expect(readWelcome(welcome(1)).keyPackageRefs).toHaveLength(1);
  expect(readWelcome(welcome(limits.joinersPerWelcomeMax)).keyPackageRefs).toHaveLength(limits.joinersPerWelcomeMax);
  expect(() => readWelcome(welcome(limits.joinersPerWelcomeMax + 1))).toThrow('more joiners');
});

it('refuses a Welcome without joiners, and references whose length is not that of a digest', () => {
  expect(() => readWelcome(welcome(0))).toThrow('no joiners');
  expect(() => readWelcome(welcome(1, 31))).toThrow('digest');
  expect(() => readWelcome(Buffer.concat([Buffer.of(0, 1, 0, 3), welcome(0)]))).toThrow(MlsFormatError);
});
