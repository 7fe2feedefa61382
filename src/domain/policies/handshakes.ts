/**
 * The allowed form of members' commits and proposals. With `plaintext` (PublicMessage) the service can compare them
 * with the roster, with `encrypted` (PrivateMessage) it sees none of their content, and `any` allows both forms.
 */
export type Handshakes = 'any' | 'plaintext' | 'encrypted';

/** Chooses the form that applies. The operator's setting overrides the conversation's policy unless it is `any`. */
export function handshakesInForce(operator: Handshakes, policy: { readonly handshakes: Handshakes }): Handshakes {
  return operator === 'any' ? policy.handshakes : operator;
}
