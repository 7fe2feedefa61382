import { createLruMap } from '#identity/lru-map.ts';

const tokensMax = 20_000;

/**
 * The last tokens that this server received for operations that record the use themselves. It refuses a repeated token
 * before the account is charged; the database decides about all others, so forgetting a token is harmless.
 */
export class RecentTokens {
  readonly #digests = createLruMap<string, true>(tokensMax);

  /** Adds a token. @returns false if it is there already. */
  add(digest: Buffer): boolean {
    const key = digest.toString('latin1');
    if (this.#digests.peek(key) === true) return false;
    this.#digests.set(key, true);
    return true;
  }
}
