import { settings } from './settings.ts';
import type { ParsedSettings, Setting } from './settings.ts';

const passwordLengthMin = 12;
const passwordDistinctMin = 6;
const commonPasswords: ReadonlySet<string> = new Set(
  'admin changeit changeme change-me default example letmein nightjar passw0rd password postgres postgresql qwerty redis root secret test'.split(
    ' ',
  ),
);

/**
 * Returns the problems that these settings have in production, each with its remedy and without any part of a secret.
 */
export function productionProblems(config: Partial<ParsedSettings>): string[] {
  if (config.NODE_ENV !== 'production') return [];
  return [...missing(config), ...switchedOff(config), ...Object.entries(config).flatMap(placeholders)];
}

function missing(config: Partial<ParsedSettings>): string[] {
  const problems: string[] = [];
  if (config.SERVICE_DID === undefined)
    problems.push('SERVICE_DID: is required in production. Set it to the did:web of this host.');
  if (config.SERVICE_DID?.startsWith('did:plc:') && config.PUBLIC_URL === undefined)
    problems.push('PUBLIC_URL: is required in production with a did:plc. Set it to where clients reach the service.');
  if (config.DATABASE_URL === undefined)
    problems.push('DATABASE_URL: is required in production. The embedded Postgres is for development.');
  if (config.IDENTITY_KEY === undefined)
    problems.push('IDENTITY_KEY: is required in production. Make one with: npm run admin -- key new');
  return problems;
}

function switchedOff(config: Partial<ParsedSettings>): string[] {
  const problems: string[] = [];
  if (config.ENFORCE_LXM === false) problems.push('ENFORCE_LXM: may not be false in production. Remove it.');
  if (config.ENFORCE_JTI === false) problems.push('ENFORCE_JTI: may not be false in production. Remove it.');
  if (config.DEVELOPMENT_IDENTITIES) problems.push('DEVELOPMENT_IDENTITIES: may not be true in production. Remove it.');
  if (config.IDENTITY_ALLOW_PRIVATE_NETWORK)
    problems.push('IDENTITY_ALLOW_PRIVATE_NETWORK: may not be true in production. Remove it.');
  if (config.PLC_URL?.startsWith('http:'))
    problems.push(
      'PLC_URL: must start with https: in production. An attacker on the network path could take over identities.',
    );
  return problems;
}

/** Returns the problems of values that were copied from an example, and of passwords that are easy to guess. */
function placeholders([name, value]: [string, unknown]): string[] {
  const setting: Setting | undefined = (settings as Readonly<Record<string, Setting>>)[name];
  const texts = [value].flat().filter((each) => typeof each === 'string');
  return texts.flatMap((text) => {
    if (/\bexample[.](com|net|org)\b/i.test(text))
      return [`${name}: still has the host of the sample. Use your own host.`];
    const problem = setting?.secret && URL.canParse(text) ? weakPassword(new URL(text)) : undefined;
    return problem === undefined ? [] : [`${name}: ${problem}`];
  });
}

/**
 * Returns why the password of `url` is weak. A URL without a password is valid, because a database can also
 * authenticate its clients by socket or certificate.
 */
function weakPassword(url: URL): string | undefined {
  if (url.password === '') return undefined;
  if (/%(?![0-9a-f]{2})/i.test(url.password)) return 'the password has a bare percent sign. Write %25 for it.';
  const password = unescapeText(url.password);
  const guesses = [url.username, url.hostname, url.pathname.slice(1)].map((guess) => guess.toLowerCase());
  const plain = password.toLowerCase();
  const isGuessed =
    guesses.includes(plain) || [...commonPasswords].some((word) => plain.replaceAll(/[\d!.]+$/g, '') === word);
  if (!isGuessed && password.length >= passwordLengthMin && new Set(password).size >= passwordDistinctMin)
    return undefined;
  return `the password is one that others would guess. Make one with: openssl rand -hex 24`;
}

/** Decodes percent escapes, and returns the text unchanged when they are not UTF-8. */
function unescapeText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
