import { looserTokens } from '../../test/auth/looser-tokens.ts';
import { malformedTokens } from '../../test/auth/malformed-tokens.ts';
import { reasons } from '../../test/auth/token-case.ts';
import type { Oracle, ReasonName } from '../../test/auth/token-case.ts';
import { wrongTokens } from '../../test/auth/wrong-tokens.ts';
import { replaceGeneratedPart } from './generated-part.ts';

const part = { path: 'docs/tokens.md', source: 'the cases in test/auth' };
const names: Readonly<Record<Oracle, string>> = { atproto: '`@atproto/xrpc-server`', atcute: '`@atcute/xrpc-server`' };

/**
 * Returns the page with its generated part replaced by the differences between the service and the reference verifiers.
 * @throws Error when a marker is missing.
 */
export function tokenPage(current: string): string {
  const parts = [...stricter(), '', '### Accepted here and refused by a reference verifier', '', ...looser()];
  return replaceGeneratedPart(current, part, parts.join('\n'));
}

function stricter(): string[] {
  return (Object.keys(reasons) as ReasonName[]).flatMap((reason, at) => {
    const lines = [...malformedTokens, ...wrongTokens].flatMap(({ name, stricterThan = {} }) => {
      const by = (['atproto', 'atcute'] as const).filter((oracle) => stricterThan[oracle] === reason);
      return by.length === 0 ? [] : [`- ${name}: accepted by ${by.map((oracle) => names[oracle]).join(' and ')}`];
    });
    return [...(at === 0 ? [] : ['']), `**${reasons[reason]}**`, '', ...lines];
  });
}

function looser(): string[] {
  return looserTokens.map(
    ({ name, refusedBy, reason }) =>
      `- ${name}: refused by ${refusedBy.map((oracle) => names[oracle]).join(' and ')}. ${reason}`,
  );
}
