/** The error of a server process that ended before it listened. The process has printed the reason itself. */
export class ProcessStartError extends Error {
  override readonly name = 'ProcessStartError';
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`A server process ended with exit code ${exitCode} before it listened; its own message is above.`);
    this.exitCode = exitCode;
  }
}
