import type { AuthErrorCode } from '#auth/auth-error.ts';
import { randomPlcDid } from '../support/clients/account.ts';
import { foreignToken, hmacToken, multibaseKey, ownJwk, replaceSegment } from './token-fixture.ts';
import type { TokenFixture } from './token-fixture.ts';
import { refused } from './token-case.ts';
import type { CaseOptions, TokenCase } from './token-case.ts';

function withHeader(
  error: AuthErrorCode,
  name: string,
  header: Readonly<Record<string, unknown>>,
  more: CaseOptions = {},
): TokenCase {
  return refused(error, name, (fixture) => fixture.mint({}, header), more);
}

const type = (name: string, alg: unknown, more?: CaseOptions): TokenCase =>
  withHeader('BadJwtType', name, { alg }, more);

const algorithms: readonly TokenCase[] = [
  type('alg none', 'none'),
  type('alg None', 'None'),
  type('alg NONE', 'NONE'),
  type('alg nOnE', 'nOnE'),
  type('alg empty', '', { stricterThan: { atproto: 'algorithm' } }),
  type('alg missing', undefined),
  type('alg null', null),
  type('alg as a list', ['ES256K']),
  type('alg as an object', { name: 'ES256K' }),
  type('alg in lower case', 'es256k'),
  type('alg with a space', 'ES256K '),
  type('alg ES384', 'ES384'),
  type('alg ES512', 'ES512'),
  refused('BadJwt', 'alg none without signature', (fixture) =>
    replaceSegment(fixture.mint({}, { alg: 'none' }), 2, () => ''),
  ),
  refused('BadJwtType', 'HS256 with the public key as secret', (fixture) =>
    hmacToken(fixture, 'HS256', multibaseKey(fixture.alice)),
  ),
  refused('BadJwtType', 'HS256 with an empty secret', (fixture) => hmacToken(fixture, 'HS256', '')),
  refused('BadJwtType', 'HS256 with the DID as secret', (fixture) => hmacToken(fixture, 'HS256', fixture.alice.did)),
  refused('BadJwtType', 'HS384', (fixture) => hmacToken(fixture, 'HS384', multibaseKey(fixture.alice))),
  refused('BadJwtType', 'HS512', (fixture) => hmacToken(fixture, 'HS512', multibaseKey(fixture.alice))),
  refused('BadJwtType', 'RS256', (fixture) => foreignToken(fixture, 'RS256')),
  refused('BadJwtType', 'PS256', (fixture) => foreignToken(fixture, 'PS256')),
  refused('BadJwtType', 'EdDSA', (fixture) => foreignToken(fixture, 'EdDSA')),
];

const types: readonly TokenCase[] = [
  ...['at+jwt', 'refresh+jwt', 'dpop+jwt'].map((typ) => withHeader('BadJwtType', `typ ${typ}`, { typ })),
  ...['AT+JWT', 'application/at+jwt', 'JOSE', 'JWE', '', 'JWT '].map((typ) =>
    withHeader('BadJwtType', `typ "${typ}"`, { typ }, { stricterThan: { atproto: 'typ', atcute: 'typ' } }),
  ),
  withHeader('BadJwtType', 'typ as a number', { typ: 1 }, { stricterThan: { atproto: 'typ' } }),
  withHeader('BadJwtType', 'typ null', { typ: null }, { stricterThan: { atproto: 'typ' } }),
  withHeader('BadJwtType', 'typ as a list', { typ: ['JWT'] }, { stricterThan: { atproto: 'typ' } }),
];

const bothOwnKey = { stricterThan: { atproto: 'ownKey', atcute: 'ownKey' } } as const;
const bothCritical = { stricterThan: { atproto: 'critical', atcute: 'critical' } } as const;

const headers: readonly TokenCase[] = [
  withHeader('BadJwt', 'a jwk header', { jwk: ownJwk().jwk }, bothOwnKey),
  withHeader('BadJwt', 'a jku header', { jku: 'https://a.nightjar.dev' }, bothOwnKey),
  withHeader('BadJwt', 'an x5u header', { x5u: 'https://a.nightjar.dev' }, bothOwnKey),
  withHeader('BadJwt', 'an x5c header', { x5c: [] }, bothOwnKey),
  withHeader('BadJwt', 'an x5t header', { x5t: 'AAAA' }, bothOwnKey),
  withHeader('BadJwt', 'an x5t#S256 header', { 'x5t#S256': 'AAAA' }, bothOwnKey),
  withHeader('BadJwt', 'a crit header', { crit: ['exp'] }, bothCritical),
  withHeader('BadJwt', 'an empty crit header', { crit: [] }, bothCritical),
  withHeader('BadJwt', 'b64 false', { b64: false }, bothCritical),
  withHeader('BadJwt', 'b64 false, marked as critical', { b64: false, crit: ['b64'] }, bothCritical),
  withHeader('BadJwt', 'an enc header', { enc: 'A256GCM' }, { stricterThan: { atproto: 'typ', atcute: 'typ' } }),
  withHeader('BadJwt', 'a zip header', { zip: 'DEF' }, { stricterThan: { atproto: 'typ', atcute: 'typ' } }),
  withHeader('BadJwt', 'kid as a list', { kid: ['#atproto'] }, { stricterThan: { atproto: 'kid' } }),
  withHeader('BadJwt', 'kid as a number', { kid: 1 }, { stricterThan: { atproto: 'kid' } }),
  withHeader('BadJwt', 'kid null', { kid: null }, { stricterThan: { atproto: 'kid' } }),
  withHeader('BadJwt', 'kid empty', { kid: '' }, { stricterThan: { atproto: 'kid' } }),
  withHeader('BadJwt', 'kid very long', { kid: 'k'.repeat(513) }, { stricterThan: { atproto: 'kid' } }),
  ...[
    ['a path', '../../etc/passwd'],
    ['SQL', "' or 1=1 --"],
    ['a URL', 'https://a.nightjar.dev/#atproto'],
    ['a name of every object', '#__proto__'],
    ['a NUL', '#atproto\0'],
    ['a key of another document', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa#atproto'],
    ['another key', '#atproto_label'],
  ].map(([what, kid]) => withHeader('BadJwtIssuer', `kid as ${what}`, { kid }, { stricterThan: { atproto: 'kid' } })),
];

const segments: readonly TokenCase[] = [
  refused('BadJwt', 'one segment', () => 'token'),
  refused('BadJwt', 'two segments', ({ mint }) => mint().split('.').slice(0, 2).join('.')),
  refused('BadJwt', 'four segments', ({ mint }) => `${mint()}.AAAA`),
  refused('BadJwt', 'five segments, as a JWE has', ({ mint }) => `${mint()}.AAAA.AAAA`),
  refused('BadJwt', 'a JWE header before five segments', () => {
    const header = Buffer.from('{"alg":"dir","enc":"A256GCM"}').toString('base64url');
    return `${header}..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA`;
  }),
  refused('BadJwt', 'a dot at the end', ({ mint }) => `${mint()}.`),
  refused('BadJwt', 'only dots', () => '..'),
  refused('BadJwt', 'an empty header', ({ mint }) => replaceSegment(mint(), 0, () => '')),
  refused('BadJwt', 'an empty payload', ({ mint }) => replaceSegment(mint(), 1, () => '')),
  refused('BadJwt', 'an empty signature', ({ mint }) => replaceSegment(mint(), 2, () => '')),
  refused('BadJwt', 'a JWS in JSON', ({ mint }) =>
    Buffer.from(JSON.stringify({ payload: mint() })).toString('base64url'),
  ),
];

const signedText = (change: (text: string) => string) => (fixture: TokenFixture) =>
  replaceSegment(fixture.mint(), 2, change);

const encoding: readonly TokenCase[] = [
  refused(
    'BadJwt',
    'padding',
    signedText((text) => `${text}==`),
    { stricterThan: { atproto: 'canonical' } },
  ),
  refused('BadJwt', 'base64 with + and /', (fixture) => toStandardAlphabet(fixture), {
    stricterThan: { atproto: 'canonical' },
  }),
  refused(
    'BadJwt',
    'trailing bits in the signature',
    signedText((text) => `${text.slice(0, -1)}${nextLetter(text)}`),
    {
      stricterThan: { atproto: 'canonical' },
    },
  ),
  refused(
    'BadJwt',
    'a length no base64 has',
    signedText((text) => `${text}AAA`),
  ),
  refused(
    'BadJwt',
    'a letter outside the alphabet',
    signedText((text) => `é${text.slice(1)}`),
  ),
  refused(
    'BadJwt',
    'a letter outside the alphabet, before the signature',
    signedText((text) => `!${text}`),
    {
      stricterThan: { atproto: 'canonical' },
    },
  ),
  refused(
    'BadJwt',
    'a tab inside',
    signedText((text) => `${text.slice(0, 8)}\t${text.slice(8)}`),
    {
      stricterThan: { atproto: 'canonical' },
    },
  ),
  refused(
    'BadJwt',
    'a space inside',
    signedText((text) => `${text.slice(0, 8)} ${text.slice(8)}`),
    {
      stricterThan: { atproto: 'canonical' },
    },
  ),
  refused('BadJwt', 'a NUL', ({ mint }) => `${mint()}\0`, {
    http: { status: 400, error: 'InvalidRequest' },
    stricterThan: { atproto: 'canonical' },
  }),
  refused('BadJwt', 'more than 4,096 characters', ({ mint }) => mint({ filler: 'f'.repeat(4_096) }), {
    http: { status: 431, error: 'HeadersTooLarge' },
    stricterThan: { atproto: 'size', atcute: 'size' },
  }),
  refused(
    'BadJwt',
    'invalid UTF-8 in the header',
    ({ raw, payloadText }) => raw(payloadText(), Buffer.from('{"alg":"ES256K","x":"\xff"}', 'latin1')),
    { stricterThan: { atproto: 'utf8' } },
  ),
  refused('BadJwt', 'a byte order mark before the header', ({ raw, payloadText }) =>
    raw(payloadText(), '\ufeff{"alg":"ES256K"}'),
  ),
];

/** Mints tokens until the signature differs between the two base64 alphabets. */
function toStandardAlphabet(fixture: TokenFixture): string {
  for (;;) {
    const token = replaceSegment(fixture.mint(), 2, (text) => text.replaceAll('-', '+').replaceAll('_', '/'));
    if (/[+/]/.test(token)) return token;
  }
}

function nextLetter(text: string): string {
  return text.endsWith('A') ? 'B' : text.endsWith('Q') ? 'R' : text.endsWith('g') ? 'h' : 'x';
}

const json: readonly TokenCase[] = [
  refused('BadJwt', 'a claim twice', ({ raw, payloadText, alice }) => raw(payloadText(`,"iss":"${alice.did}"`)), {
    stricterThan: { atproto: 'unambiguous', atcute: 'unambiguous' },
  }),
  refused('BadJwt', 'a claim twice, the second with another DID', ({ raw, payloadText }) =>
    raw(payloadText(`,"iss":"${randomPlcDid()}"`)),
  ),
  refused('BadJwt', 'a claim twice, once in escapes', ({ raw, payloadText }) =>
    raw(payloadText(',"\\u006axm":1,"lx\\u006d":"a"')),
  ),
  refused('BadJwt', 'a claim twice inside another', ({ raw, payloadText }) => raw(payloadText(',"a":{"b":1,"b":2}')), {
    stricterThan: { atproto: 'unambiguous', atcute: 'unambiguous' },
  }),
  refused('BadJwt', 'a header twice', ({ raw, payloadText }) => raw(payloadText(), '{"alg":"ES256","alg":"ES256K"}'), {
    stricterThan: { atproto: 'unambiguous', atcute: 'unambiguous' },
  }),
  refused(
    'BadJwt',
    'a prototype key in the payload',
    ({ raw, payloadText }) => raw(payloadText(',"__proto__":{"lxm":"a"}')),
    {
      stricterThan: { atproto: 'unambiguous', atcute: 'unambiguous' },
    },
  ),
  refused(
    'BadJwt',
    'a prototype key in the header',
    ({ raw, payloadText }) => raw(payloadText(), '{"alg":"ES256K","constructor":{}}'),
    { stricterThan: { atproto: 'unambiguous', atcute: 'unambiguous' } },
  ),
  refused('BadJwt', 'a payload that is a list', ({ raw }) => raw('[]')),
  refused('BadJwt', 'a payload that is null', ({ raw }) => raw('null')),
  refused('BadJwt', 'a payload that is a text', ({ raw }) => raw('"claims"')),
  refused('BadJwt', 'a payload that is no JSON', ({ raw }) => raw('{"iss":')),
  refused('BadJwt', 'a payload with something behind', ({ raw, payloadText }) => raw(`${payloadText()}x`)),
  refused('BadJwt', 'a header that is a list', ({ raw, payloadText }) => raw(payloadText(), '["ES256K"]')),
  refused('BadJwt', 'a header that is no JSON', ({ raw, payloadText }) => raw(payloadText(), 'alg=ES256K')),
  refused(
    'BadJwt',
    'invalid UTF-8',
    ({ raw, payloadText }) =>
      raw(Buffer.concat([Buffer.from(payloadText().slice(0, -1)), Buffer.from(',"a":"\xff"}', 'latin1')])),
    {
      stricterThan: { atproto: 'utf8' },
    },
  ),
  refused('BadJwt', 'a byte order mark', ({ raw, payloadText }) => raw(`\ufeff${payloadText()}`)),
];

/** Tokens that are refused before their issuer is read. */
export const malformedTokens: readonly TokenCase[] = [
  ...algorithms,
  ...types,
  ...headers,
  ...segments,
  ...encoding,
  ...json,
];
