import { AppError } from '#platform/errors.ts';

/**
 * Bytes that are not the MLS structure they should be. The readers of this folder throw nothing else; the message is a
 * fixed text, so it is safe to send.
 */
export class MlsFormatError extends AppError<'InvalidMlsMessage'> {
  constructor(message: string) {
    super('InvalidMlsMessage', message);
  }
}
