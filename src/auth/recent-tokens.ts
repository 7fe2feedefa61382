const tokensMax = 20_000;

/**
 * The last tokens that this server received for operations that record the use themselves. It refuses a repeated token
 * before the account is charged; the database decides about all others, so forgetting a token is harmless.
 */
export class RecentTokens {
  readonly #digests = new Set<string>();

  /** Adds a token. @returns false if it is there already. */
  add(digest: Buffer): boolean {
    const key = digest.toString('latin1');
    if (this.#digests.has(key)) return false;
    this.#digests.add(key);
    if (this.#digests.size > tokensMax) {
      // A set iterates in the order of insertion.
      for (const oldest of this.#digests) {
        this.#digests.delete(oldest);
        break;
      }
    }
    return true;
  }
}
