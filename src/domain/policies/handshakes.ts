/**
 * The form of members' commits and proposals: `plaintext` is PublicMessage, so that the service can compare them with
 * the roster; `encrypted` is PrivateMessage, so that the service sees none of their content; `any` allows both.
 */
export type Handshakes = 'any' | 'plaintext' | 'encrypted';

/** Chooses the form in force: the operator's setting overrides the policy. */
export function handshakesInForce(operator: Handshakes, policy: { readonly handshakes: Handshakes }): Handshakes {
  return operator === 'any' ? policy.handshakes : operator;
}
