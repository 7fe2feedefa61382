import { InvariantError } from '#platform/errors.ts';

/** Assigns indexes from 0 to bucket names, so that states can be stored in arrays. */
export interface NameTable {
  /**
   * Returns the index of a name, or -1 for a name without an index.
   * @throws InvariantError unless the name is 16 bytes in hex.
   */
  find(name: string): number;
  /**
   * Assigns an index to a name that has none, first the index that was removed last. Returns the index, or -1 when all
   * indexes are in use.
   */
  add(name: string): number;
  remove(index: number): void;
  count(): number;
}

const wordsPerName = 4;

/**
 * Creates a hash table with chains in typed arrays, because a Map with as many strings takes seven times the memory and
 * creates garbage of twice its size.
 */
export function createNameTable(namesMax: number): NameTable {
  const mask = 2 ** Math.ceil(Math.log2(Math.max(2, namesMax))) - 1;
  // A link is an index plus one, so that zeroed memory is an empty table.
  const heads = new Int32Array(mask + 1);
  const links = new Int32Array(namesMax);
  const words = new Uint32Array(namesMax * wordsPerName);
  const target = new Uint32Array(wordsPerName);
  const targetBytes = Buffer.from(target.buffer);
  let everUsed = 0;
  let freed = 0;
  let count = 0;

  function read(name: string): number {
    if (targetBytes.write(name, 'hex') !== targetBytes.length)
      throw new InvariantError('a bucket name is not 16 bytes in hex');
    // The first word of a name serves as its hash, because names are HMACs.
    return (target[0] ?? 0) & mask;
  }

  function isTarget(index: number): boolean {
    for (let word = 0; word < wordsPerName; word++) {
      if (words[index * wordsPerName + word] !== target[word]) return false;
    }
    return true;
  }

  return {
    find(name) {
      let link = heads[read(name)] ?? 0;
      while (link !== 0 && !isTarget(link - 1)) link = links[link - 1] ?? 0;
      return link - 1;
    },
    add(name) {
      if (count === namesMax) return -1;
      const hash = read(name);
      const index = freed === 0 ? everUsed++ : freed - 1;
      if (index === freed - 1) freed = links[index] ?? 0;
      words.set(target, index * wordsPerName);
      links[index] = heads[hash] ?? 0;
      heads[hash] = index + 1;
      count += 1;
      return index;
    },
    remove(index) {
      const hash = (words[index * wordsPerName] ?? 0) & mask;
      const next = links[index] ?? 0;
      if (heads[hash] === index + 1) {
        heads[hash] = next;
      } else {
        let before = (heads[hash] ?? 0) - 1;
        while (links[before] !== index + 1) before = (links[before] ?? 0) - 1;
        links[before] = next;
      }
      links[index] = freed;
      freed = index + 1;
      count -= 1;
    },
    count: () => count,
  };
}
