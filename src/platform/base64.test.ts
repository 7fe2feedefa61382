import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBase64, encodeBase64 } from './base64.ts';

test('every spelling of the same bytes is read alike', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      const padded = encodeBase64(bytes);
      const urlSafe = padded.replaceAll('+', '-').replaceAll('/', '_');
      for (const text of [padded, urlSafe, padded.replaceAll('=', ''), urlSafe.replaceAll('=', '')]) {
        expect(decodeBase64(text)?.equals(bytes)).toBe(true);
      }
    }),
  );
});

test('text with anything but base64 digits in it is refused, wherever it stands', () => {
  const foreign = fc.constantFrom(
    ' ',
    '\n',
    '\t',
    '=',
    '.',
    '*',
    '\u0000',
    '\u007f',
    '\u00e9',
    '\u0141',
    '\u2028',
    '\ud83d\ude00',
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), foreign, fc.nat(), (bytes, character, at) => {
      const text = encodeBase64(bytes).replaceAll('=', '');
      const place = at % (text.length + (character === '=' ? 0 : 1) || 1);
      const spoilt = text.slice(0, place) + character + text.slice(place);
      fc.pre(character !== '=' || place < text.length);
      expect(decodeBase64(spoilt)).toBeUndefined();
    }),
    { numRuns: 500 },
  );
});

test.each(['Q', 'QUJDQ', 'QQ=', 'QUJD=', '=', '==', '====', 'QQ==QQ==', 'QQ=Q'])(
  '%s has an impossible length or padding',
  (text) => {
    expect(decodeBase64(text)).toBeUndefined();
  },
);
