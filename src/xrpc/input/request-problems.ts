import { AppError } from '#platform/errors.ts';
import { jsonProblems } from './json-text.ts';

/**
 * Texts of InvalidRequest for rules that are not in a lexicon. `lexicon-input.ts` makes the texts for rules of a
 * lexicon, which name the field.
 */
export const requestProblems = {
  ...jsonProblems,
  bodyEndsEarly: 'The body ends before the length that its header names. Send it whole.',
  datetimeForm: 'Write datetimes as 2026-01-31T12:00:00Z.',
  warningEnded: 'input.expiresAt is over, so the warning could reach nobody. Name a later time, or none.',
} as const;

/** Creates the error InvalidRequest with the text of `problem`. */
export function requestError(problem: keyof typeof requestProblems): AppError {
  return new AppError('InvalidRequest', requestProblems[problem]);
}
