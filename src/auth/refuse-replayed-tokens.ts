import { authError, replayRecordTooNew } from './auth-error.ts';
import type { TokenMark } from '#storage/rows/replay-entries.ts';
import type { ReplayGuard, ReplayResult } from './replay-guard.ts';

/**
 * Records the first use of a token whose signature is verified.
 * @throws AppError JwtReplayed when the token was used before, JwtTooOld when it is older than the record of used
 * tokens, JwtRevoked when an operator has revoked it, ServiceUnavailable when the record is younger than a new token.
 */
export async function refuseReplayedToken(guard: ReplayGuard, mark: TokenMark): Promise<void> {
  const result = await guard.record(mark);
  if (result === 'replayed') throw authError('JwtReplayed');
  if (isFirstUse(result)) return;
  if (result === 'before-record') throw authError('JwtTooOld');
  if (result === 'revoked') throw authError('JwtRevoked');
}

/**
 * Returns whether the token or ticket is accepted as used for the first time.
 * @throws AppError ServiceUnavailable when the record of used tokens is younger than a new token.
 */
export function isFirstUse(result: ReplayResult): boolean {
  if (result === 'just-before-record') throw replayRecordTooNew();
  return result === 'first';
}
