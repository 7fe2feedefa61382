import { ConfigError } from '#platform/config/config.ts';
import { KeyRingError } from '#privacy/key-ring.ts';
import { EmbeddedPostgresError } from '#storage/embedded-postgres/embedded-postgres-error.ts';

/** What to print for an error that an operator can act on; undefined for a defect, of which only its place may be said. */
export function operatorMessage(error: unknown): string | undefined {
  if (isPortTaken(error))
    return 'The port is taken. Stop the other program, or set SERVER_PORT, ADMIN_PORT and WORKER_ADMIN_PORT to free ones.';
  const isForOperator =
    error instanceof ConfigError || error instanceof EmbeddedPostgresError || error instanceof KeyRingError;
  return isForOperator ? error.message : undefined;
}

/** Exit codes of a start that failed, as sysexits.h has them; a supervisor should not try 78 again. */
const exitCodes = { defect: 1, tryAgain: 75, configuration: 78 } as const;

/** The exit code that tells a supervisor whether starting again can help. */
export function exitCodeOf(error: unknown): number {
  if (isPortTaken(error)) return exitCodes.tryAgain;
  if (error instanceof ConfigError) return error.mayPass ? exitCodes.tryAgain : exitCodes.configuration;
  return error instanceof KeyRingError ? exitCodes.configuration : exitCodes.defect;
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}
