/**
 * A value for a parameter written as `${…}::bytea[]`. It has a class of its own, because postgres.js would declare a
 * plain array of Buffers as one bytea.
 */
export class ByteaArray {
  readonly values: readonly Uint8Array[];

  constructor(values: readonly Uint8Array[]) {
    this.values = values;
  }
}

export function byteaArray(values: readonly Buffer[]): ByteaArray {
  return new ByteaArray(values);
}
