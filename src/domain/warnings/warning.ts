/** A warning as the warned member receives it. It does not name the sender, because the sender is not stored. */
export interface Warning {
  readonly id: string;
  readonly reason: string;
}
