import { InvariantError } from '#platform/errors.ts';

/** What a person has chosen for their account. Times are of the time bucket. */
export interface AccountSettings {
  /** Whether they take part in MLS chats, and since when; undefined until they say so. */
  readonly optIn: { readonly choice: 'in' | 'out'; readonly sinceMs: number } | undefined;
  /** Stored for clients. */
  readonly allowFollowersBypass: boolean;
  /** Stored for clients. */
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

/** One size, whatever was chosen. */
export function encodeAccountSettings(settings: AccountSettings): Buffer {
  const text = Buffer.from(JSON.stringify(settings), 'utf8');
  if (text.length + 2 > blockSizeBytes) throw new InvariantError('account settings are larger than their block');
  const bytes = Buffer.alloc(blockSizeBytes);
  bytes.writeUInt16BE(text.length);
  text.copy(bytes, 2);
  return bytes;
}

/** Undoes `encodeAccountSettings`; what an older version did not write has its default. */
export function decodeAccountSettings(bytes: Buffer): AccountSettings {
  const text = bytes.subarray(2, 2 + bytes.readUInt16BE()).toString('utf8');
  return { ...defaultAccountSettings, ...(JSON.parse(text) as Partial<AccountSettings>) };
}
