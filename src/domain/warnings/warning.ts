/** What a warned person is told; who warned them is not kept. */
export interface Warning {
  readonly id: string;
  readonly reason: string;
}
