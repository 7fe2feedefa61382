import { InvariantError } from '#platform/errors.ts';

/** A person's settings, which the account stores sealed. Times are rounded down to the time bucket. */
export interface AccountSettings {
  /** The person's choice about MLS chats and its time; undefined before the first choice. */
  readonly optIn: { readonly choice: 'in' | 'out'; readonly sinceMs: number } | undefined;
  /** Stored for clients. The service does not use this setting. */
  readonly allowFollowersBypass: boolean;
  /** Stored for clients. The service does not use this setting. */
  readonly allowFollowingBypass: boolean;
  /** Days until a chat request to this person expires. */
  readonly autoExpireDays: number;
  /** How many chat requests the person sent on the day `day` (days since 1970 in UTC). */
  readonly chatRequestsSent: { readonly day: number; readonly count: number };
}

/** The settings of a person who has changed none, as the lexicon defines them. */
export const defaultAccountSettings: AccountSettings = {
  optIn: undefined,
  allowFollowersBypass: true,
  allowFollowingBypass: false,
  autoExpireDays: 7,
  chatRequestsSent: { day: 0, count: 0 },
};

const blockSizeBytes = 512;

/**
 * Encodes settings in exactly 512 bytes, so that the size of the sealed value shows nothing.
 * @throws InvariantError when the settings do not fit.
 */
export function encodeAccountSettings(settings: AccountSettings): Buffer {
  const text = Buffer.from(JSON.stringify(settings), 'utf8');
  if (text.length + 2 > blockSizeBytes) throw new InvariantError('account settings are larger than their block');
  const bytes = Buffer.alloc(blockSizeBytes);
  bytes.writeUInt16BE(text.length);
  text.copy(bytes, 2);
  return bytes;
}

/**
 * Decodes bytes that `encodeAccountSettings` returned. A field that an older version did not write gets the default
 * value.
 */
export function decodeAccountSettings(bytes: Buffer): AccountSettings {
  const text = bytes.subarray(2, 2 + bytes.readUInt16BE()).toString('utf8');
  return { ...defaultAccountSettings, ...(JSON.parse(text) as Partial<AccountSettings>) };
}
