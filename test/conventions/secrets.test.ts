import { expect, test } from 'vitest';
import { matchesIn, readTree } from './source-tree.ts';
import type { SourceFile } from './source-tree.ts';

const keyFile = /[.](pem|key|p8|p12|pfx|jks|disabled|bak|orig)$/;
const secretText: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----/, 'a private key; make one at run time instead'],
  [/\beyJ[\w-]{10,}[.]eyJ[\w-]{10,}[.][\w-]{10,}/, 'a token; sign one at run time instead'],
  [/\b(AKIA[0-9A-Z]{16}|ghp_\w{36}|xox[abp]-\w{10,}|npm_\w{36})\b/, 'a credential; remove it and revoke it'],
];

function secretsIn(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => [
    ...(keyFile.test(file.path)
      ? [`${file.path}: key files and switched-off files stay out of the repository; delete it`]
      : []),
    ...secretText.flatMap(([pattern, what]) => matchesIn(file, pattern, what)),
  ]);
}

test('the repository holds no key, token or switched-off file', () => {
  expect(secretsIn(readTree())).toEqual([]);
});

test('a key, a token, a credential and a switched-off file are reported', () => {
  // Put together at run time, so that this file does not report itself.
  const base64 = (text: string): string => Buffer.from(text).toString('base64url');
  const planted: SourceFile[] = [
    { path: 'docs/a.md', text: ['-----BEGIN EC', 'PRIVATE KEY-----'].join(' ') },
    {
      path: 'test/a.ts',
      text: [base64('{"alg":"ES256K"}'), base64('{"iss":"did:plc:a"}'), base64('0123456789')].join('.'),
    },
    { path: 'bin/a.ts', text: `AKIA${'A'.repeat(16)}` },
    { path: 'src/auth/old.ts.disabled', text: '' },
  ];
  expect(secretsIn(planted)).toHaveLength(planted.length);
});
