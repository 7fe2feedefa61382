import { ConfigError } from '#platform/config/config.ts';
import { ProcessStartError } from '#platform/process/process-start-error.ts';
import { KeyRingError } from '#privacy/key-ring.ts';
import { EmbeddedPostgresError } from '#storage/embedded-postgres/embedded-postgres-error.ts';

/**
 * Returns the message for an error that an operator can fix. Returns undefined for a defect, because only its place in
 * the code may be printed.
 */
export function operatorMessage(error: unknown): string | undefined {
  if (isPortTaken(error))
    return 'The port is taken. Stop the other program, or set SERVER_PORT, ADMIN_PORT and WORKER_ADMIN_PORT to free ones.';
  const isForOperator =
    error instanceof ConfigError ||
    error instanceof EmbeddedPostgresError ||
    error instanceof KeyRingError ||
    error instanceof ProcessStartError;
  return isForOperator ? error.message : undefined;
}

/** Exit codes of a failed start (sysexits.h). A supervisor should not restart after 78. */
const exitCodes = { defect: 1, tryAgain: 75, configuration: 78 } as const;

/** Returns the exit code for a failed start, which shows a supervisor whether a restart can help. */
export function exitCodeOf(error: unknown): number {
  if (isPortTaken(error)) return exitCodes.tryAgain;
  if (error instanceof ProcessStartError) return error.exitCode;
  if (error instanceof ConfigError) return error.isTemporary ? exitCodes.tryAgain : exitCodes.configuration;
  return error instanceof KeyRingError ? exitCodes.configuration : exitCodes.defect;
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}
