import { readFileSync } from 'node:fs';

/** A file of `docs/test-vectors`. */
export interface VectorFile<Vector> {
  /** What the vectors are about, in one or two sentences. */
  readonly about: string;
  readonly vectors: readonly Vector[];
}

/** The response of the service: 200, or an error status with the name of the error. */
export interface Verdict {
  readonly status: number;
  readonly error?: string;
}

export const accepted: Verdict = { status: 200 };

/** The verdict for bytes that the service refuses with this error. */
export function refusedWith(error: string, status = 400): Verdict {
  return { status, error };
}

/** The text of a file of vectors. */
export function vectorText(file: VectorFile<unknown>): string {
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Messages and cursors that contain random bytes, made once by `make-messages.ts`. */
export type MadeName =
  | 'groupId'
  | 'cipherSuite'
  | 'aliceDid'
  | 'bobDid'
  | 'bobSignatureKey'
  | 'keyPackage'
  | 'keyPackageRef'
  | 'keyPackageOfAnotherPerson'
  | 'firstCommit'
  | 'welcome'
  | 'groupInfo'
  | 'application'
  | 'paddedInside'
  | 'privateProposal'
  | 'publicProposal'
  | 'privateCommit'
  | 'publicCommit'
  | 'nextGroupInfo'
  | 'secondCommit'
  | 'secondGroupInfo'
  | 'externalCommit'
  | 'cursor'
  | 'cursorAgain'
  | 'laterCursor';

/** What `make-messages.ts` has stored. */
export const made = JSON.parse(readFileSync(new URL('made-messages.json', import.meta.url), 'utf8')) as Readonly<
  Record<MadeName, string>
>;

/** The bytes of a stored message. */
export function madeBytes(name: MadeName): Buffer {
  return Buffer.from(made[name], 'hex');
}
