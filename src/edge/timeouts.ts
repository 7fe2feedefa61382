/** Time limits for a client, in milliseconds. */
export interface EdgeTimeouts {
  /** From the start of a request to the end of its head. */
  readonly headersMs: number;
  /** From the start of a request to the end of its body. */
  readonly requestMs: number;
  /** How often the two limits above and the rate of bodies are checked. */
  readonly checkEveryMs: number;
  /** Longer than a proxy keeps an idle connection open, so that it sends no request into a connection that closes. */
  readonly keepAliveMs: number;
  /** Without a byte in either direction while a request is open, for clients that do not read their response. */
  readonly drainMs: number;
  /** How long a body may arrive slower than 1 KiB a second. */
  readonly bodyGraceMs: number;
  /** How long a client that has its response may send nothing before its request is complete. */
  readonly lingerMs: number;
  /** How long such a client may go on sending in all. */
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
