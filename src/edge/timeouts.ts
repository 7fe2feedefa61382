/** How long a peer may take over each thing. */
export interface EdgeTimeouts {
  readonly headersMs: number;
  readonly requestMs: number;
  /** How often the two above and the pace of bodies are looked at. */
  readonly checkEveryMs: number;
  /** Longer than a proxy keeps its side open, so that it never sends a request into a closing connection. */
  readonly keepAliveMs: number;
  /** Without a byte in or out while a request is open: a peer that does not read its answer. */
  readonly drainMs: number;
  /** How long a body may come slower than 1 KiB in a second. */
  readonly bodyGraceMs: number;
  /** How long a peer that has its answer may send nothing while its request is not complete. */
  readonly lingerMs: number;
  /** How long it may go on sending in all. */
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
