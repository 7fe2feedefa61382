/** Returns the next mutant. */
export type Mutator = () => Uint8Array;
type Dice = (below: number) => number;

const sizeBytesMax = 65_536;
/** The first bytes of a structure, which contain lengths, versions and types. */
const headSizeBytes = 128;
/** Lengths of RFC 9420 section 2.1.2 that are too long, too short, not minimal or forbidden, and extreme values of each type. */
const nastyBytes: readonly (readonly number[])[] = [
  [0x00],
  [0x3f],
  [0x40, 0x00],
  [0x40, 0x40],
  [0x7f, 0xff],
  [0x80, 0x00, 0x00, 0x00],
  [0x80, 0x00, 0x40, 0x00],
  [0xbf, 0xff, 0xff, 0xff],
  [0xc0],
  [0xff, 0xff, 0xff, 0xff],
  [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
];

type Mutation = (bytes: Buffer, dice: Dice, others: readonly Uint8Array[]) => Buffer;

const mutations: readonly Mutation[] = [
  function flip(bytes, dice) {
    const at = somewhere(bytes, dice);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << dice(8));
    return bytes;
  },
  function replace(bytes, dice) {
    bytes[somewhere(bytes, dice)] = dice(256);
    return bytes;
  },
  function overwrite(bytes, dice) {
    Buffer.from(nastyBytes[dice(nastyBytes.length)] ?? []).copy(bytes, somewhere(bytes, dice));
    return bytes;
  },
  function insert(bytes, dice) {
    const at = somewhere(bytes, dice);
    return Buffer.concat([
      bytes.subarray(0, at),
      Buffer.from(nastyBytes[dice(nastyBytes.length)] ?? []),
      bytes.subarray(at),
    ]);
  },
  function remove(bytes, dice) {
    const at = somewhere(bytes, dice);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + dice(8))]);
  },
  function cut(bytes, dice) {
    return bytes.subarray(0, dice(bytes.length + 1));
  },
  function extend(bytes, dice) {
    return Buffer.concat([bytes, Buffer.alloc(1 + dice(64), dice(2) * dice(256))]);
  },
  function splice(bytes, dice, others) {
    const other = others[dice(others.length)] ?? bytes;
    return Buffer.concat([bytes.subarray(0, dice(bytes.length + 1)), other.subarray(dice(other.length + 1))]);
  },
  function repeat(bytes, dice) {
    const at = somewhere(bytes, dice);
    const part = bytes.subarray(at, at + 1 + dice(64));
    return Buffer.concat([
      bytes.subarray(0, at),
      ...Array.from({ length: 1 + dice(16) }, () => part),
      bytes.subarray(at),
    ]);
  },
];
/** One of this number of mutants has the maximum size. */
const longEvery = 200;

/** Creates a mutator of `seeds` that returns the same mutants for the same `seed`. */
export function createMutator(seeds: readonly Uint8Array[], seed: number): Mutator {
  const dice = createDice(seed);
  // Large seeds are used rarely, because they would take most of the time.
  const [small, large] = [seeds.filter(({ length }) => length <= 4_096), seeds.filter(({ length }) => length > 4_096)];
  return () => {
    if (dice(longEvery) === 0) return longMutant(seeds, dice);
    const pool = dice(50) === 0 ? large : small;
    let bytes: Buffer = Buffer.from(pool[dice(pool.length)] ?? []);
    for (let count = 1 + dice(3); count > 0 && bytes.length > 0; count--) {
      bytes = mutations[dice(mutations.length)]?.(bytes, dice, small) ?? bytes;
    }
    return bytes.subarray(0, sizeBytesMax);
  };
}

/** Makes the head of a structure followed by a list of 64 KiB with the smallest possible items. */
function longMutant(seeds: readonly Uint8Array[], dice: Dice): Uint8Array {
  const seed = seeds[dice(seeds.length)] ?? new Uint8Array();
  const head = Buffer.from(seed.subarray(0, dice(Math.min(seed.length, headSizeBytes) + 1)));
  const rest = Buffer.alloc(sizeBytesMax - head.length, dice(2) === 0 ? dice(4) : dice(256));
  if (dice(2) === 0) rest.writeUInt32BE(0x8000_0000 + rest.length - 4);
  return Buffer.concat([head, rest]);
}

/** Returns a random offset; half of them are in the head, which contains the structure. */
function somewhere(bytes: Uint8Array, dice: Dice): number {
  return dice(dice(2) === 0 ? Math.min(bytes.length, headSizeBytes) : bytes.length);
}

/** A xorshift generator, because a million mutants need many random numbers and no cryptographic quality. */
function createDice(seed: number): Dice {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return below <= 0 ? 0 : (state >>> 0) % below;
  };
}
