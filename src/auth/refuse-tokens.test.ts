import { expect, test } from 'vitest';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { createRefusedAccounts, refusedAccount } from './refuse-tokens.ts';

test('a kept pseudonym is that of its account, also after other accounts took its place', () => {
  const privacy = createPrivacy(parseKeyRing(newKeyRingText()));
  const accountOf = createRefusedAccounts(privacy, 64);
  const dids = Array.from({ length: 200 }, (_, nth) => `did:plc:${String(nth).padStart(24, 'a')}`);
  for (const did of [...dids, ...dids.toReversed()]) expect(accountOf(did)).toEqual(refusedAccount(privacy, did));
  expect(accountOf(dids[0] ?? '')).toBe(accountOf(dids[0] ?? ''));
});
