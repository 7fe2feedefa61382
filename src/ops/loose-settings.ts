import type { Config } from '#platform/config/config.ts';

/** Settings that make the service less strict, each with the values that do. */
const isLoose = {
  NODE_ENV: ({ NODE_ENV }) => NODE_ENV !== 'production',
  ENFORCE_LXM: ({ ENFORCE_LXM }) => !ENFORCE_LXM,
  ENFORCE_JTI: ({ ENFORCE_JTI }) => !ENFORCE_JTI,
  REQUIRE_MLS_FRAMING: ({ REQUIRE_MLS_FRAMING }) => !REQUIRE_MLS_FRAMING,
  BLOCK_CHECKS: ({ BLOCK_CHECKS }) => !BLOCK_CHECKS,
  IDENTITY_ALLOW_PRIVATE_NETWORK: ({ IDENTITY_ALLOW_PRIVATE_NETWORK }) => IDENTITY_ALLOW_PRIVATE_NETWORK,
  AUTH_BAN_AFTER_FAILURES: ({ AUTH_BAN_AFTER_FAILURES }) => AUTH_BAN_AFTER_FAILURES === 0,
} as const satisfies Partial<Record<keyof Config, (config: Config) => boolean>>;

export type LooseSetting = keyof typeof isLoose;

// The compiler cannot know that an object has no further keys; this one is a literal.
export const looseSettingNames = Object.keys(isLoose) as LooseSetting[];

/** Which of them this configuration uses. */
export function looseSettingsOf(config: Config): LooseSetting[] {
  return looseSettingNames.filter((name) => isLoose[name](config));
}
