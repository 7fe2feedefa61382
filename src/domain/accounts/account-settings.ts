import { InvariantError } from '#platform/errors.ts';

/** The settings of one account. Times are rounded down to the time bucket. */
export interface AccountSettings {
  /** The person's choice about MLS chats and its time; undefined before the first choice. */
  readonly optIn: { readonly choice: 'in' | 'out'; readonly sinceMs: number } | undefined;
  /** Stored for clients; the service does not use it. */
  readonly allowFollowersBypass: boolean;
  /** Stored for clients; the service does not use it. */
  readonly allowFollowingBypass: boolean;
  /** Days until a chat request to this person expires. */
  readonly autoExpireDays: number;
  /** Chat requests that this person has sent on one day (days since 1970 in UTC). */
  readonly chatRequestsSent: { readonly day: number; readonly count: number };
}

/** The lexicon's defaults. */
export const defaultAccountSettings: AccountSettings = {
  optIn: undefined,
  allowFollowersBypass: true,
  allowFollowingBypass: false,
  autoExpireDays: 7,
  chatRequestsSent: { day: 0, count: 0 },
};

const blockSizeBytes = 512;

/**
 * Encodes settings as 512 bytes, always, so that the size of the sealed value shows nothing.
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

/** Undoes `encodeAccountSettings`. A field that an older version did not write gets its default. */
export function decodeAccountSettings(bytes: Buffer): AccountSettings {
  const text = bytes.subarray(2, 2 + bytes.readUInt16BE()).toString('utf8');
  return { ...defaultAccountSettings, ...(JSON.parse(text) as Partial<AccountSettings>) };
}
