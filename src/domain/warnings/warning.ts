/** The warning that the member receives; the sender is not stored. */
export interface Warning {
  readonly id: string;
  readonly reason: string;
}
