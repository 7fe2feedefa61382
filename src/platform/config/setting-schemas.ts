import { isIP } from 'node:net';
import { z } from 'zod';
import { readKeyText } from './key-text.ts';

/** Parses a boolean that is written as 1, true, yes, 0, false or no. */
export const flag = z
  .enum(['1', 'true', 'yes', '0', 'false', 'no'], 'must be true or false')
  .transform((value) => value === '1' || value === 'true' || value === 'yes');

/** Parses a whole number from `min` to `max` in decimal digits. */
export const whole = (min: number, max: number): z.ZodType<number> =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be from ${min} to ${max}`);

/** Splits a text at commas and drops empty items. */
const list = z.string().transform((value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
);

export const networks = list.pipe(
  z.array(
    z.union(
      [z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()],
      'must list networks such as 10.0.0.0/8 or fd00::/8, separated by commas',
    ),
  ),
);

/** Parses a list of web origins, in the spelling of the Origin header that browsers send. */
export const origins = list.refine(
  (values) => values.every((value) => URL.canParse(value) && new URL(value).origin === value),
  'must list origins such as https://app.example.com, without a path, separated by commas',
);

export const url = (...protocols: readonly string[]): z.ZodType<string> =>
  z.string().refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), {
    message: `must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  });

const didPattern = /^did:(plc:[a-z2-7]{24}|web:[a-zA-Z0-9.%:-]+)$/;
export const did = z.string().regex(didPattern, 'must be a did:plc or did:web');

/** Parses a list of values that a token may have in `aud`, each a DID with or without a service fragment. */
export const audiences = list.pipe(
  z.array(
    z
      .string()
      .refine(
        (value) => didPattern.test(value.replace(/#[\w.-]+$/, '')),
        'must list DIDs such as did:web:host#service',
      ),
  ),
);

/** Accepts an IP address or a host name to listen on, without a port. */
export const host = z
  .string()
  .refine((value) => isIP(value) !== 0 || /^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$/.test(value), {
    message: 'must be an IP address or the name of this host, without a port',
  });

export const folder = z
  .string()
  .min(1)
  .refine((value) => !/\p{Cc}/u.test(value), 'must be the path of a folder');

export const keyRing = z.string().superRefine((value, context) => {
  const problem = readKeyText(value);
  if (typeof problem === 'string') context.addIssue(problem);
});
