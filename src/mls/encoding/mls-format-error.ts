import { AppError } from '#platform/errors.ts';

/**
 * The only error that the readers of `src/mls` throw when bytes are not the expected MLS structure. The message is a
 * fixed text without data of the input, so it can be sent to clients.
 */
export class MlsFormatError extends AppError<'InvalidMlsMessage'> {
  constructor(message: string) {
    super('InvalidMlsMessage', message);
  }
}
