import type { Config } from '#platform/config/config.ts';

/** Settings that make the service less strict, each with a function that detects its permissive values. */
const isPermissive = {
  NODE_ENV: ({ NODE_ENV }) => NODE_ENV !== 'production',
  ENFORCE_LXM: ({ ENFORCE_LXM }) => !ENFORCE_LXM,
  ENFORCE_JTI: ({ ENFORCE_JTI }) => !ENFORCE_JTI,
  REQUIRE_MLS_FRAMING: ({ REQUIRE_MLS_FRAMING }) => !REQUIRE_MLS_FRAMING,
  BLOCK_CHECKS: ({ BLOCK_CHECKS }) => !BLOCK_CHECKS,
  IDENTITY_ALLOW_PRIVATE_NETWORK: ({ IDENTITY_ALLOW_PRIVATE_NETWORK }) => IDENTITY_ALLOW_PRIVATE_NETWORK,
  AUTH_BAN_AFTER_FAILURES: ({ AUTH_BAN_AFTER_FAILURES }) => AUTH_BAN_AFTER_FAILURES === 0,
} as const satisfies Partial<Record<keyof Config, (config: Config) => boolean>>;

export type PermissiveSetting = keyof typeof isPermissive;

// The cast is safe because the object is a literal, so it has no keys that its type does not list.
export const permissiveSettingNames = Object.keys(isPermissive) as PermissiveSetting[];

export function permissiveSettingsOf(config: Config): PermissiveSetting[] {
  return permissiveSettingNames.filter((name) => isPermissive[name](config));
}
