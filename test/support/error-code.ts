/** The `code` of a refusal, or the whole value where there is none, so that a failed expectation shows it. */
export function errorCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : error;
}
