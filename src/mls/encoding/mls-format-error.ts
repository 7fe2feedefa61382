import { AppError } from '#platform/errors.ts';

/**
 * The bytes are not the expected MLS structure. The readers of `src/mls` throw no other error. The message is a fixed text without data
 * of the input, so it can be sent to clients.
 */
export class MlsFormatError extends AppError<'InvalidMlsMessage'> {
  constructor(message: string) {
    super('InvalidMlsMessage', message);
  }
}
