import { looserTokens } from '../../test/auth/looser-tokens.ts';
import { malformedTokens } from '../../test/auth/malformed-tokens.ts';
import { reasons } from '../../test/auth/token-case.ts';
import type { Oracle, ReasonName } from '../../test/auth/token-case.ts';
import { wrongTokens } from '../../test/auth/wrong-tokens.ts';

const begin = '<!-- Written by `npm run codegen` from the cases in test/auth; do not edit from here … -->';
const end = '<!-- … to here. -->';
const names: Readonly<Record<Oracle, string>> = { atproto: '`@atproto/xrpc-server`', atcute: '`@atcute/xrpc-server`' };

/**
 * The page with its generated part replaced: where the service and the reference verifiers differ.
 * @throws Error when a marker is missing.
 */
export function tokenPage(current: string): string {
  const [head, rest, ...more] = current.split(`${begin}\n`);
  const tail = rest?.split(end)[1];
  if (head === undefined || tail === undefined || more.length > 0) throw new Error('docs/tokens.md lacks a marker');
  const parts = [...stricter(), '', '### Accepted here and refused by a reference verifier', '', ...looser()];
  return `${head}${begin}\n\n${parts.join('\n')}\n\n${end}${tail}`;
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
