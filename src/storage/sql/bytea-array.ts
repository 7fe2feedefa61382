/**
 * Encodes `values` for a parameter written as `${…}::bytea[]`, because postgres.js would declare a plain array of
 * Buffers as one bytea.
 */
export function byteaArray(values: readonly Buffer[]): string {
  return `{${values.map((value) => `"\\\\x${value.toString('hex')}"`).join(',')}}`;
}
