import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBase64, encodeBase64 } from './base64.ts';

test('standard and URL-safe base64, with and without padding, decode to the same bytes', () => {
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

test('text with a character outside the base64 alphabet is refused, at any position', () => {
  const invalidCharacter = fc.constantFrom(
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
    fc.property(fc.uint8Array({ maxLength: 40 }), invalidCharacter, fc.nat(), (bytes, character, at) => {
      const text = encodeBase64(bytes).replaceAll('=', '');
      const index = at % (text.length + (character === '=' ? 0 : 1) || 1);
      const invalidText = text.slice(0, index) + character + text.slice(index);
      fc.pre(character !== '=' || index < text.length);
      expect(decodeBase64(invalidText)).toBeUndefined();
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
