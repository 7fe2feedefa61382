import { AppError } from '#platform/errors.ts';
import type { DomainErrorCode } from './domain-error.ts';

/**
 * Texts for error names that cover several rules. Each text names the field or the part of the bytes, says the rule, and says what
 * to do next. It is fixed and holds no data of the request. The key is the name of the rule; it is not sent.
 */
export const refusalReasons = {
  InvalidAsset: {},
  InvalidCommit: {},
  InvalidGroupInfo: {},
  InvalidKeyPackage: {},
  InvalidWelcome: {},
} as const satisfies Partial<Record<DomainErrorCode, Readonly<Record<string, string>>>>;

type Reasons = typeof refusalReasons;

/** A refusal with the text of the rule that the request breaks. */
export function refusalFor<Code extends keyof Reasons>(
  code: Code,
  reason: keyof Reasons[Code] & string,
): AppError<Code> {
  const texts: Readonly<Record<string, string>> = refusalReasons[code];
  return new AppError(code, texts[reason] ?? code);
}

/** A refusal with a text that the reader of MLS structures gave; `text` must be fixed and hold no data of the request. */
export function refusalWithText<Code extends DomainErrorCode>(code: Code, text: string): AppError<Code> {
  return new AppError(code, text);
}
