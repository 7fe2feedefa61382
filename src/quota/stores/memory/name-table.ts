import { InvariantError } from '#platform/errors.ts';

/** Gives names places from 0 on. */
export interface NameTable {
  /** -1 when unknown. @throws InvariantError unless the name is 16 bytes in hex. */
  find(name: string): number;
  /** A place for a name that has none; -1 when all are taken. */
  add(name: string): number;
  remove(place: number): void;
  count(): number;
}

const wordsPerName = 4;

/**
 * A hash table with chains, in typed arrays: a Map of as many strings takes seven times the memory, and its garbage twice that.
 * Names are HMACs, so their first word is the hash. Links hold a place plus one, so that fresh memory is an empty table.
 */
export function createNameTable(namesMax: number): NameTable {
  const mask = 2 ** Math.ceil(Math.log2(Math.max(2, namesMax))) - 1;
  const heads = new Int32Array(mask + 1);
  const links = new Int32Array(namesMax);
  const words = new Uint32Array(namesMax * wordsPerName);
  const wanted = new Uint32Array(wordsPerName);
  const wantedBytes = Buffer.from(wanted.buffer);
  let everUsed = 0;
  let freed = 0;
  let count = 0;

  function read(name: string): number {
    if (wantedBytes.write(name, 'hex') !== wantedBytes.length)
      throw new InvariantError('a bucket name that is no HMAC');
    return (wanted[0] ?? 0) & mask;
  }

  function isWanted(place: number): boolean {
    for (let word = 0; word < wordsPerName; word++) {
      if (words[place * wordsPerName + word] !== wanted[word]) return false;
    }
    return true;
  }

  return {
    find(name) {
      let link = heads[read(name)] ?? 0;
      while (link !== 0 && !isWanted(link - 1)) link = links[link - 1] ?? 0;
      return link - 1;
    },
    add(name) {
      if (count === namesMax) return -1;
      const hash = read(name);
      const place = freed === 0 ? everUsed++ : freed - 1;
      if (place === freed - 1) freed = links[place] ?? 0;
      words.set(wanted, place * wordsPerName);
      links[place] = heads[hash] ?? 0;
      heads[hash] = place + 1;
      count += 1;
      return place;
    },
    remove(place) {
      const hash = (words[place * wordsPerName] ?? 0) & mask;
      const next = links[place] ?? 0;
      if (heads[hash] === place + 1) {
        heads[hash] = next;
      } else {
        let before = (heads[hash] ?? 0) - 1;
        while (links[before] !== place + 1) before = (links[before] ?? 0) - 1;
        links[before] = next;
      }
      links[place] = freed;
      freed = place + 1;
      count -= 1;
    },
    count: () => count,
  };
}
