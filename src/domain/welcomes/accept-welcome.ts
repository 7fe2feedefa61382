import type { Caller } from '#domain/caller.ts';
import { consumeKeyPackages } from '#domain/key-packages/single-use/consume-key-packages.ts';
import { refusalFor, refusalWithText } from '#domain/refusal-reasons.ts';
import { MlsFormatError } from '#mls/encoding/mls-format-error.ts';
import { readWelcome } from '#mls/messages/welcome.ts';
import type { Welcome } from '#mls/messages/welcome.ts';
import { WIRE_FORMAT, wrapInMlsMessage } from '#mls/encoding/wrapped-structure.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { deliverWelcome } from './deliver-welcome.ts';

/**
 * Consumes the key packages that the Welcome names and stores the Welcome for their owners, in the transaction of its
 * commit. The packages must have been handed out to the caller or another member, and their owners must be among
 * `invited`.
 * @throws AppError InvalidWelcome, KeyPackageNotFound.
 */
export async function acceptWelcome(
  deps: { privacy: Privacy; timeBucketSeconds: number },
  tx: Tx,
  caller: Caller,
  welcome: {
    groupId: Buffer;
    epoch: number;
    bytes: Buffer;
    cipherSuite: number | undefined;
    invited: readonly string[];
    /** Loads the DIDs of the other members, who may have claimed a package and proposed the Add. */
    members: () => Promise<readonly string[]>;
  },
): Promise<void> {
  const header = parseWelcome(welcome.bytes);
  if (welcome.cipherSuite !== undefined && header.cipherSuite !== welcome.cipherSuite)
    throw refusalFor('InvalidWelcome', 'otherSuite');
  // A Welcome does not show its group (RFC 9420 section 12.4.3.1), so only its key packages and their owners are
  // checked.
  const recipients = await consumeKeyPackages(deps, tx, caller, {
    refs: header.keyPackageRefs.map((ref) => Buffer.from(ref)),
    cipherSuite: header.cipherSuite,
    otherClaimers: welcome.members,
  });
  const invited = new Set([...welcome.invited, caller.did]);
  if (!recipients.every(({ did }) => invited.has(did))) throw refusalFor('InvalidWelcome', 'ownerNotNamed');
  await deliverWelcome(deps, tx, {
    groupId: welcome.groupId,
    epoch: welcome.epoch,
    welcome: wrapInMlsMessage(header.bare, WIRE_FORMAT.welcome),
    recipients,
  });
}

/** Parses a Welcome, which may be wrapped in an MLSMessage. @throws AppError InvalidWelcome. */
export function parseWelcome(bytes: Buffer): Welcome {
  try {
    return readWelcome(bytes);
  } catch (error) {
    if (!(error instanceof MlsFormatError)) throw error;
    const remedy = 'Send a Welcome (RFC 9420 section 12.4.3.1), in an MLSMessage or bare.';
    throw refusalWithText('InvalidWelcome', `The Welcome cannot be read. ${error.message} ${remedy}`);
  }
}
