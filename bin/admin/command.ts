import { describeError } from '#platform/logging/logger.ts';
import { exitCodeOf, operatorMessage } from '#ops/operator-message.ts';
import { JobFailedError, JobNotRunError } from '../../workers/start-worker.ts';

/** An error that the operator can fix, with a message that says how. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * Runs one admin command. After a failure it prints what to do, or for a defect the place in the code, and sets the
 * exit code.
 */
export async function command(task: () => Promise<void> | void): Promise<void> {
  try {
    await task();
  } catch (error) {
    const isExpected = [UsageError, JobFailedError, JobNotRunError].some((expected) => error instanceof expected);
    console.error(isExpected ? (error as Error).message : (operatorMessage(error) ?? describeError(error)));
    process.exitCode = isExpected ? 1 : exitCodeOf(error);
  }
}
