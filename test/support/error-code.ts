/** Returns the `code` of an error, or the whole value if it has none, so that a failed expectation shows it. */
export function errorCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : error;
}
