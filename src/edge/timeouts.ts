/** The time limits that the edge sets for clients, in milliseconds. */
export interface EdgeTimeouts {
  /** The time from the start of a request to the end of its head. */
  readonly headersMs: number;
  /** The time from the start of a request to the end of its body. */
  readonly requestMs: number;
  /** How often the two limits above and the rate of bodies are checked. */
  readonly checkEveryMs: number;
  /**
   * How long an idle connection stays open. The time must be longer than in the proxy, so that the proxy sends no
   * request into a connection that closes.
   */
  readonly keepAliveMs: number;
  /**
   * How long a connection with an open request may be without a byte in either direction, which limits clients that do
   * not read their response.
   */
  readonly drainMs: number;
  /** How long a body may arrive slower than 1 KiB a second. */
  readonly bodyGraceMs: number;
  /** How long the server waits for the next byte of an incomplete request after the response is sent. */
  readonly lingerMs: number;
  /** The total time for which the server reads the rest of a request after the response is sent. */
  readonly lingerTotalMs: number;
}

export const edgeTimeouts: EdgeTimeouts = {
  headersMs: 10_000,
  requestMs: 30_000,
  checkEveryMs: 1_000,
  keepAliveMs: 65_000,
  drainMs: 30_000,
  bodyGraceMs: 5_000,
  lingerMs: 500,
  lingerTotalMs: 10_000,
};
